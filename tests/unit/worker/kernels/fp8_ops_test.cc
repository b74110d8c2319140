#include "worker/kernels/fp8_ops.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

namespace tessera {
namespace {

class Fp8OpsTest : public ::testing::Test {
 protected:
  Fp8OpsTest() { at::manual_seed(5); }
  const c10::InferenceMode inference_;
};

// Three bits of fraction: half of 2^-3 of the value at most, or half of the smallest step, 2^-9.
TEST_F(Fp8OpsTest, RowsAreWithinHalfAStepOfE4M3) {
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const at::Tensor x = (at::randn({33, 127}) * at::logspace(-3, 3, 33).unsqueeze(1)).to(type);
    const Fp8Rows rows = QuantizeRows(x);
    const at::Tensor exact = x.to(at::kFloat);
    const at::Tensor allowed = at::maximum(exact.abs() / 16, rows.scales / 1024) * 1.0001;
    EXPECT_TRUE((Dequantized(rows) - exact).abs().le(allowed).all().item<bool>()) << type;
  }
}

TEST_F(Fp8OpsTest, LargestOfARowIs448) {
  const Fp8Rows rows = QuantizeRows(at::randn({65, 24}));
  EXPECT_TRUE(at::equal(rows.values.to(at::kFloat).abs().amax(1), at::full({65}, 448.0F)));
}

TEST_F(Fp8OpsTest, ZerosStayZerosAndWhatIsNotFiniteIsSeen) {
  const at::Tensor x = at::zeros({3, 8});
  x[1][2] = std::numeric_limits<float>::quiet_NaN();
  x[2][5] = std::numeric_limits<float>::infinity();
  const at::Tensor y = Dequantized(QuantizeRows(x));
  EXPECT_TRUE(at::equal(y[0], at::zeros({8})));
  EXPECT_TRUE(y[1].isnan().any().item<bool>());
  EXPECT_TRUE(y[2].isnan().any().item<bool>());
}

// What a rank computes must not depend on the rows that its chunk holds.
TEST_F(Fp8OpsTest, ARowIsQuantisedByItself) {
  const at::Tensor x = at::randn({2, 9, 40});
  const Fp8Rows all = QuantizeRows(x), part = QuantizeRows(x.narrow(1, 4, 3));
  EXPECT_EQ(part.values.size(0), 6);
  EXPECT_TRUE(at::equal(Dequantized(part).view({2, 3, 40}),
                        Dequantized(all).view({2, 9, 40}).narrow(1, 4, 3)));
}

TEST_F(Fp8OpsTest, LinearIsTheProductOfTheQuantisedMatrices) {
  for (const auto& [rows, in, out] :
       {std::tuple{1, 16, 32}, {0, 16, 32}, {33, 96, 48}, {7, 5, 3}}) {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      const Fp8Rows x = QuantizeRows(at::randn({rows, in})),
                    weight = QuantizeRows(at::randn({out, in}));
      const at::Tensor bias = at::randn({out}).to(type);
      const at::Tensor expected =
          at::linear(Dequantized(x).to(at::kDouble), Dequantized(weight).to(at::kDouble),
                     bias.to(at::kDouble));
      const at::Tensor y = Fp8Linear(x, weight, bias);
      EXPECT_EQ(y.scalar_type(), type);
      const double tolerance = type == at::kFloat ? 1e-5 : 8e-3;
      EXPECT_TRUE(at::allclose(expected, y.to(at::kDouble), tolerance, tolerance))
          << rows << "x" << in << "x" << out;
    }
  }
}

}  // namespace
}  // namespace tessera
