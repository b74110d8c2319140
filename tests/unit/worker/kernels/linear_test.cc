#include "worker/kernels/linear/linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

namespace tessera {
namespace {

struct Case {
  std::vector<int64_t> rows;  // leading sizes of x
  int64_t in, out;
};

class LinearOpsTest : public ::testing::TestWithParam<Case> {
 protected:
  LinearOpsTest() { at::manual_seed(3); }

  void ExpectSame(const at::Tensor& expected, const at::Tensor& actual) const {
    ASSERT_EQ(expected.sizes(), actual.sizes());
    EXPECT_TRUE(at::allclose(expected, actual, 1e-4, 1e-4));
  }

  std::vector<int64_t> Sizes() const {
    std::vector<int64_t> sizes = GetParam().rows;
    sizes.push_back(GetParam().in);
    return sizes;
  }
  const c10::InferenceMode inference_;
  const at::Tensor x_ = at::randn(Sizes());
  const at::Tensor weight_ = at::randn({GetParam().out, GetParam().in}) / 8;
  const at::Tensor bias_ = at::randn({GetParam().out});
};

TEST_P(LinearOpsTest, EqualTheirTwins) {
  ExpectSame(reference::LinearOp(x_, weight_, bias_), LinearOp(x_, weight_, bias_, {}));
  ExpectSame(reference::LinearGelu(x_, weight_, bias_), LinearGelu(x_, weight_, bias_, {}));
}

TEST_P(LinearOpsTest, WritesIntoAPartOfAWiderBuffer) {
  const at::Tensor flat = x_.flatten(0, -2);
  const at::Tensor wide = at::zeros({flat.size(0), GetParam().out + 5});
  at::Tensor part = wide.narrow(1, 3, GetParam().out);
  LinearGeluInto(flat, weight_, bias_, part, {});
  ExpectSame(reference::LinearGelu(flat, weight_, bias_), part);
  EXPECT_EQ(wide.narrow(1, 0, 3).abs().sum().item<float>(), 0);
}

// Rows of a batch are not dense when they are a part of longer sequences.
TEST_P(LinearOpsTest, TakesRowsThatAreApart) {
  const at::Tensor padded = at::cat({x_, x_}, -2);
  const at::Tensor part = padded.narrow(-2, 0, x_.size(-2));
  ExpectSame(reference::LinearOp(part, weight_, bias_), LinearOp(part, weight_, bias_, {}));
}

INSTANTIATE_TEST_SUITE_P(Shapes, LinearOpsTest,
                         ::testing::Values(Case{{1, 1}, 8, 16}, Case{{1, 0}, 8, 16},
                                           Case{{2, 33}, 96, 384}, Case{{1, 64}, 480, 96},
                                           Case{{7}, 5, 3}));

}  // namespace
}  // namespace tessera
