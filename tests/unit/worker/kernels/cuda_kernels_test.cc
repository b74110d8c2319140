#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "absl/strings/str_cat.h"
#include "tests/support/gpu.h"
#include "worker/kernels/dispatch.h"
#include "worker/kernels/euler_update.h"
#include "worker/kernels/fp8_rows.h"
#include "worker/kernels/gated_add.h"
#include "worker/kernels/gelu_tanh.h"
#include "worker/kernels/kernel_choice.h"
#include "worker/kernels/layer_norm_modulate.h"
#include "worker/kernels/norm_rope_qkv.h"
#include "worker/kernels/picture_to_rgb8.h"

namespace tessera {
namespace {

constexpr double kEps = 1e-6;
constexpr KernelChoice kOurs = {.cuda_kernels = CudaKernels::kFused};

using Inputs = std::vector<at::Tensor>;
using Op = std::function<at::Tensor(const Inputs&)>;

// The op as its twin is called.
template <typename Result, typename... Parameters>
auto ByOurs(Result (*op)(Parameters...)) {
  return [op](auto&&... arguments) { return op(arguments..., kOurs); };
}

// Each kernel against its ATen twin on the GPU, and against the twin in float32 on the CPU.
class CudaKernelsTest : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    TESSERA_SKIP_WITHOUT_GPU();
    if (!CudaKernelsBuilt()) GTEST_SKIP() << "built without nvcc, so there are no CUDA kernels";
    at::manual_seed(7);
  }

  at::Tensor Random(at::IntArrayRef sizes) const {
    return at::randn(sizes, at::kFloat).to(at::kCUDA, GetParam());
  }

  // The rows of a wider and longer buffer, `gap` elements before each.
  at::Tensor RandomRows(int64_t batch, int64_t rows, int64_t width, int64_t gap) const {
    return Random({batch, rows + 2, gap + width}).narrow(1, 1, rows).narrow(2, gap, width);
  }

  // The same inputs through the kernel, the twin, and the twin in float32 on the CPU.
  void ExpectAgreement(const std::string& what, const Inputs& inputs, const Op& kernel,
                       const Op& twin) const {
    ASSERT_TRUE(RunsOnCuda({&inputs.front()}, kOurs)) << "the kernel would not run";
    Inputs exact;
    for (const at::Tensor& t : inputs) exact.push_back(t.cpu().to(at::kFloat));
    const at::Tensor actual = kernel(inputs).cpu();
    // Units in the last place: the twin rounds at the same points; exact arithmetic does not.
    ExpectNear(what + " against its twin", twin(inputs).cpu(), actual, 2);
    ExpectNear(what + " against float32", twin(exact), actual, 6);
  }

 private:
  static void ExpectNear(const std::string& what, const at::Tensor& expected,
                         const at::Tensor& actual, double ulps) {
    if (expected.numel() == 0) return;
    const at::Tensor e = expected.to(at::kDouble), a = actual.to(at::kDouble);
    const double difference = ((e - a).abs() / (e.abs() + 1)).max().item<double>();
    const double unit = GetParam() == at::kFloat ? 5e-6 : GetParam() == at::kHalf ? 1e-3 : 8e-3;
    EXPECT_LE(difference, ulps * unit) << what << " " << expected.sizes();
  }
};

struct Shape {
  int64_t batch, rows, width, gap;
};

// One row and odd numbers of rows; widths of a single element, below a warp, odd, and FLUX's; gaps
// that leave rows on any multiple of an element.
std::vector<Shape> Shapes() {
  std::vector<Shape> shapes = {{1, 0, 24, 0}, {2, 3, 40000, 0}};
  for (const int64_t batch : {1, 3}) {
    for (const int64_t rows : {1, 7, 33}) {
      for (const int64_t width : {1, 24, 96, 127, 3072}) {
        for (const int64_t gap : {0, 1, 8}) shapes.push_back({batch, rows, width, gap});
      }
    }
  }
  return shapes;
}

TEST_P(CudaKernelsTest, LayerNormModulate) {
  for (const auto& [batch, rows, width, gap] : Shapes()) {
    for (const int64_t modulations : {int64_t{1}, batch}) {
      const auto op = [width = width](auto function) {
        return [=](const Inputs& t) {
          return function(t[0], t[1].narrow(-1, 0, width), t[1].narrow(-1, width, width), kEps);
        };
      };
      ExpectAgreement("LayerNormModulate",
                      {RandomRows(batch, rows, width, gap), Random({modulations, 1, 3 * width})},
                      op(ByOurs(&LayerNormModulate)), op(&reference::LayerNormModulate));
    }
  }
}

TEST_P(CudaKernelsTest, GatedAdd) {
  for (const auto& [batch, rows, width, gap] : Shapes()) {
    for (const int64_t modulations : {int64_t{1}, batch}) {
      const auto op = [width = width](auto function) {
        return [=](const Inputs& t) {
          at::Tensor x = t[0].clone();
          function(x, t[1].narrow(-1, width, width), t[2]);
          return x;
        };
      };
      ExpectAgreement("GatedAdd",
                      {Random({batch, rows, width}), Random({modulations, 1, 3 * width}),
                       RandomRows(batch, rows, width, gap)},
                      op(ByOurs(&GatedAdd)), op(&reference::GatedAdd));
    }
  }
}

// In place, in the right part of a buffer whose left part must not change.
TEST_P(CudaKernelsTest, GeluTanhBesideOtherFeatures) {
  for (const auto& [batch, rows, width, gap] : Shapes()) {
    const auto op = [width = width, gap = gap](auto function) {
      return [=](const Inputs& t) {
        const at::Tensor both = t[0].clone();
        at::Tensor right = both.narrow(1, gap, width);
        function(right, right);
        return both;
      };
    };
    ExpectAgreement("GeluTanh", {Random({batch * rows, gap + width})}, op(ByOurs(&GeluTanh)),
                    op(&reference::GeluTanh));
  }
}

// Byte for byte: what is quantised has the same bits for the kernel and for its twin.
void ExpectEqualFp8(const std::string& what, const Fp8Rows& expected, const Fp8Rows& actual) {
  ASSERT_EQ(expected.values.sizes(), actual.values.sizes()) << what;
  EXPECT_TRUE(at::equal(expected.scales, actual.scales)) << what << " " << expected.values.sizes();
  EXPECT_TRUE(at::equal(expected.values.view(at::kByte), actual.values.view(at::kByte)))
      << what << " " << expected.values.sizes();
}

TEST_P(CudaKernelsTest, QuantizeRows) {
  for (const auto& [batch, rows, width, gap] : Shapes()) {
    const at::Tensor x = RandomRows(batch, rows, width, gap);
    ASSERT_TRUE(RunsOnCuda({&x}, kOurs));
    ExpectEqualFp8("QuantizeRows", reference::QuantizeRows(x), QuantizeRows(x, kOurs));
    ExpectEqualFp8("QuantizeRows [rows, width]", reference::QuantizeRows(x.select(0, batch - 1)),
                   QuantizeRows(x.select(0, batch - 1), kOurs));
  }
}

// Every finite value of the type, and what a row of zeros, one with NaN and one with infinity give.
TEST_P(CudaKernelsTest, QuantizeRowsOfAllMagnitudes) {
  at::Tensor x = at::logspace(-45, 38, 64 * 1000, 10, at::kDouble).to(at::kFloat);
  x = at::cat({x, -x, at::zeros({64 * 1000})}).to(GetParam()).to(at::kCUDA);
  x = x.masked_fill(x.isinf(), 1).view({-1, 64});
  ExpectEqualFp8("magnitudes", reference::QuantizeRows(x), QuantizeRows(x, kOurs));
  ExpectEqualFp8("magnitudes in one row", reference::QuantizeRows(x.view({1, -1})),
                 QuantizeRows(x.view({1, -1}), kOurs));
  for (const double odd :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity()}) {
    at::Tensor row = Random({3, 2000});
    row[1][1234] = odd;
    const at::Tensor y = Dequantized(QuantizeRows(row, kOurs));
    EXPECT_TRUE(at::equal(y.isnan(), Dequantized(reference::QuantizeRows(row)).isnan())) << odd;
  }
}

TEST_P(CudaKernelsTest, DequantizeInto) {
  for (const auto& [batch, rows, width, gap] : Shapes()) {
    const Fp8Rows quantised = QuantizeRows(RandomRows(batch, rows, width, gap), kOurs);
    at::Tensor actual = at::empty(quantised.values.sizes(), at::kCUDA).to(GetParam());
    at::Tensor expected = at::empty_like(actual);
    ASSERT_TRUE(RunsOnCuda({&actual}, kOurs));
    DequantizeInto(quantised, actual, kOurs);
    reference::DequantizeInto(quantised, expected);
    EXPECT_TRUE(at::equal(actual, expected)) << actual.sizes();
  }
}

TEST_P(CudaKernelsTest, LayerNormModulateFp8) {
  for (const auto& [batch, rows, width, gap] : Shapes()) {
    for (const int64_t modulations : {int64_t{1}, batch}) {
      const at::Tensor x = RandomRows(batch, rows, width, gap);
      const at::Tensor vectors = Random({modulations, 1, 3 * width});
      const at::Tensor shift = vectors.narrow(-1, 0, width),
                       scale = vectors.narrow(-1, width, width);
      ExpectEqualFp8("LayerNormModulateFp8",
                     reference::QuantizeRows(LayerNormModulate(x, shift, scale, kEps, kOurs)),
                     LayerNormModulateFp8(x, shift, scale, kEps, kOurs));
    }
  }
}

TEST_P(CudaKernelsTest, QuantizeGeluRows) {
  for (const auto& [batch, rows, width, gap] : Shapes()) {
    const at::Tensor tail = RandomRows(batch, rows, width, gap);
    at::Tensor gelu = at::empty_like(tail);
    GeluTanh(tail, gelu, kOurs);
    ExpectEqualFp8("QuantizeGeluRows", reference::QuantizeRows(gelu),
                   QuantizeGeluRows({}, tail, kOurs));
    for (const int64_t head_width : {1, 24, 3072}) {
      const at::Tensor head = RandomRows(batch, rows, head_width, gap);
      ExpectEqualFp8("QuantizeGeluRows with a head",
                     reference::QuantizeRows(at::cat({head, gelu}, -1)),
                     QuantizeGeluRows(head, tail, kOurs));
    }
  }
}

TEST_P(CudaKernelsTest, EulerUpdate) {
  for (const auto& [batch, rows, width, gap] : Shapes()) {
    const auto op = [](auto function) {
      return [=](const Inputs& t) {
        at::Tensor latents = t[0].clone();
        function(latents, t[1], -0.137F);
        return latents;
      };
    };
    ExpectAgreement("EulerUpdate", {Random({batch, rows, width}), Random({batch, rows, width})},
                    op(ByOurs(&EulerUpdate)), op(&reference::EulerUpdate));
  }
}

struct Heads {
  int64_t batch, rows, heads, head_dim, gap;
};

TEST_P(CudaKernelsTest, NormRopeQkvIntoCacheRows) {
  std::vector<Heads> shapes = {{1, 0, 4, 32, 0}, {1, 3, 2, 600, 0}};
  for (const int64_t batch : {1, 3}) {
    for (const auto& [heads, head_dim] :
         {std::pair{1, 2}, {3, 10}, {4, 24}, {5, 34}, {2, 64}, {24, 128}}) {
      for (const int64_t gap : {0, 1, 8}) {
        shapes.push_back({batch, 1, heads, head_dim, gap});
        shapes.push_back({batch, 33, heads, head_dim, gap});
      }
    }
  }
  for (const auto& [batch, rows, heads, head_dim, gap] : shapes) {
    const auto op = [heads = heads](auto function) {
      return [=](const Inputs& t) {
        const int64_t size = t[0].size(1), width = t[3].size(0);
        const auto split = [=](const at::Tensor& x) { return x.unflatten(-1, {heads, width}); };
        const at::Tensor angle =
            at::arange(size * width / 2, t[0].options().dtype(at::kFloat)).view({size, width / 2});
        const at::Tensor cache =
            at::zeros({3, t[0].size(0), size + 3, heads, width}, t[0].options());
        const auto place = [&](int64_t i) { return cache[i].narrow(1, 2, size); };
        function(QkvRows{split(t[0]), split(t[1]), split(t[2])}, t[3], t[4], angle.cos(),
                 angle.sin(), kEps, QkvRows{place(0), place(1), place(2)});
        return cache;
      };
    };
    const int64_t width = heads * head_dim;
    ExpectAgreement("NormRopeQkv",
                    {RandomRows(batch, rows, width, gap), RandomRows(batch, rows, width, gap),
                     RandomRows(batch, rows, width, gap), Random({head_dim}), Random({head_dim})},
                    op(ByOurs(&NormRopeQkv)), op(&reference::NormRopeQkv));
  }
}

TEST_P(CudaKernelsTest, PictureToRgb8IsExactInAnyMemoryFormat) {
  for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    for (const auto& [batch, height, width] : {std::tuple{1, 1, 1}, {3, 7, 5}, {1, 64, 96}}) {
      const at::Tensor picture = Random({batch, 3, height, width}).contiguous(format);
      ASSERT_TRUE(RunsOnCuda({&picture}, kOurs));
      const at::Tensor bytes = PictureToRgb8(picture, kOurs);
      EXPECT_TRUE(bytes.is_contiguous());
      EXPECT_TRUE(at::equal(bytes, reference::PictureToRgb8(picture))) << picture.sizes();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, CudaKernelsTest,
                         ::testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         [](const auto& test) { return c10::toString(test.param); });

// A kernel becomes the default once its test has run on a GPU.
TEST(CudaKernelChoiceTest, AtenIsTheDefault) {
  TESSERA_SKIP_WITHOUT_GPU();
  const at::Tensor x = at::zeros({1, 1, 8}, at::kCUDA);
  EXPECT_FALSE(RunsOnCuda({&x}, {}));
}

}  // namespace
}  // namespace tessera
