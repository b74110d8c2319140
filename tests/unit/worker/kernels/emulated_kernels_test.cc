#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "worker/kernels/cuda/cuda_views.h"
#include "worker/kernels/euler_update.h"
#include "worker/kernels/fp8_rows.h"
#include "worker/kernels/gated_add.h"
#include "worker/kernels/layer_norm_modulate.h"
#include "worker/kernels/norm_rope_qkv.h"
#include "worker/kernels/picture_to_rgb8.h"

// The CUDA kernels on this machine's CPU (tests/support/emulated_cuda), against their ATen twins.
// cuda_kernels_test.cc does the same on a GPU.
namespace tessera {
namespace {

constexpr float kEps = 1e-6F;

using cuda::ElementOf, cuda::ExtentOf, cuda::MatrixOf, cuda::MutableRowsOf, cuda::RowsOf,
    cuda::VectorsOf;

// Filled with what no kernel writes.
Fp8Rows PlacesFor(const at::Tensor& x, int64_t width) {
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = width;
  const at::Tensor values = at::full(sizes, 0x55, at::kByte).view(at::kFloat8_e4m3fn);
  sizes.back() = 1;
  return {values, at::full(sizes, -7, at::kFloat)};
}

void ExpectSameBytes(const Fp8Rows& expected, const Fp8Rows& actual) {
  EXPECT_TRUE(at::equal(expected.scales, actual.scales)) << actual.values.sizes();
  EXPECT_TRUE(at::equal(expected.values.view(at::kByte), actual.values.view(at::kByte)))
      << actual.values.sizes();
}

struct Shape {
  int64_t batch, rows, width, gap;
};

// Of few rows, since a block takes milliseconds here: below a warp, odd, several packs a thread;
// gaps that leave rows on any multiple of an element.
std::vector<Shape> Shapes() {
  std::vector<Shape> shapes = {{1, 0, 24, 0}, {1, 1, 40000, 0}, {1, 1, 20001, 1}};
  for (const int64_t width : {1, 24, 127, 600}) {
    for (const int64_t gap : {0, 1, 8}) shapes.push_back({2, 2, width, gap});
  }
  return shapes;
}

class EmulatedKernelsTest : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::manual_seed(7); }

  at::Tensor Random(at::IntArrayRef sizes) const { return at::randn(sizes).to(GetParam()); }
  // The rows of a wider and longer buffer, `gap` elements before each.
  at::Tensor RandomRows(const Shape& s) const {
    return Random({s.batch, s.rows + 2, s.gap + s.width})
        .narrow(1, 1, s.rows)
        .narrow(2, s.gap, s.width);
  }
  // One vector for all batch items, or one for each.
  static int64_t VectorsFor(const Shape& s) { return s.gap == 0 ? 1 : s.batch; }
  // Rounded at the same points; the order of sums and the last bit of rsqrt and tanh may differ.
  void ExpectNear(const at::Tensor& expected, const at::Tensor& actual) const {
    const double unit = GetParam() == at::kFloat ? 5e-6 : GetParam() == at::kHalf ? 1e-3 : 8e-3;
    EXPECT_TRUE(at::allclose(expected.to(at::kDouble), actual.to(at::kDouble), 2 * unit, 2 * unit))
        << actual.sizes();
  }
};

TEST_P(EmulatedKernelsTest, LayerNormModulateInBothTypes) {
  for (const Shape& s : Shapes()) {
    const at::Tensor x = RandomRows(s), vectors = Random({VectorsFor(s), 1, 2 * s.width});
    const at::Tensor shift = vectors.narrow(-1, 0, s.width),
                     scale = vectors.narrow(-1, s.width, s.width);
    const at::Tensor y = at::full_like(x, 1e4, at::MemoryFormat::Contiguous);
    ASSERT_EQ(cuda::LayerNormModulate(ElementOf(x), ExtentOf(x), RowsOf(x), VectorsOf(shift),
                                      VectorsOf(scale), kEps, MutableRowsOf(y), nullptr),
              nullptr);
    ExpectNear(reference::LayerNormModulate(x, shift, scale, kEps), y);
    const Fp8Rows fp8 = PlacesFor(x, s.width);
    cuda::LayerNormModulateFp8(ElementOf(x), ExtentOf(x), RowsOf(x), VectorsOf(shift),
                               VectorsOf(scale), kEps, MatrixOf(fp8), nullptr);
    ExpectSameBytes(reference::QuantizeRows(y), fp8);
  }
}

TEST_P(EmulatedKernelsTest, GatedAdd) {
  for (const Shape& s : Shapes()) {
    at::Tensor x = Random({s.batch, s.rows, s.width}), expected = x.clone();
    const at::Tensor y = RandomRows(s), gate = Random({VectorsFor(s), 1, s.width});
    reference::GatedAdd(expected, gate, y);
    cuda::GatedAdd(ElementOf(x), ExtentOf(x), MutableRowsOf(x), VectorsOf(gate), RowsOf(y),
                   nullptr);
    EXPECT_TRUE(at::equal(expected, x)) << x.sizes();
  }
}

TEST_P(EmulatedKernelsTest, GeluInPlaceAndAsFp8BesideOtherFeatures) {
  for (const Shape& s : Shapes()) {
    const at::Tensor both = Random({s.batch, s.rows, s.gap + s.width}), before = both.clone();
    const at::Tensor tail = both.narrow(2, s.gap, s.width), raw = tail.clone();
    cuda::GeluTanh(ElementOf(tail), ExtentOf(tail), RowsOf(tail), MutableRowsOf(tail), nullptr);
    ExpectNear(at::gelu(raw, "tanh"), tail);
    EXPECT_TRUE(at::equal(both.narrow(2, 0, s.gap), before.narrow(2, 0, s.gap)));
    for (const int64_t head_width : {0, 24}) {
      const at::Tensor head = RandomRows({s.batch, s.rows, head_width, s.gap});
      const Fp8Rows fp8 = PlacesFor(raw, head_width + s.width);
      cuda::QuantizeRows(ElementOf(raw), s.batch, s.rows,
                         {.head = RowsOf(head),
                          .tail = RowsOf(raw),
                          .head_width = head_width,
                          .tail_width = s.width},
                         MatrixOf(fp8), nullptr);
      ExpectSameBytes(reference::QuantizeRows(at::cat({head, tail}, -1)), fp8);
    }
  }
}

TEST_P(EmulatedKernelsTest, QuantizeAndDequantizeRows) {
  for (const Shape& s : Shapes()) {
    at::Tensor x = RandomRows(s);
    if (s.rows > 1) {
      x[0][0].zero_();
      x[s.batch - 1][1][s.width / 2] = std::numeric_limits<double>::infinity();
    }
    const Fp8Rows fp8 = PlacesFor(x, s.width), expected = reference::QuantizeRows(x);
    cuda::QuantizeRows(ElementOf(x), s.batch, s.rows, {.head = RowsOf(x), .head_width = s.width},
                       MatrixOf(fp8), nullptr);
    EXPECT_TRUE(
        at::equal(Dequantized(expected).nan_to_num(-1e4), Dequantized(fp8).nan_to_num(-1e4)))
        << x.sizes();
    at::Tensor back = at::full(x.sizes(), 1e4, GetParam()), twin = at::empty_like(back);
    cuda::DequantizeRows(ElementOf(back), s.batch * s.rows, s.width, MatrixOf(fp8),
                         back.mutable_data_ptr(), nullptr);
    reference::DequantizeInto(fp8, twin);
    EXPECT_TRUE(at::equal(twin.nan_to_num(-1e4), back.nan_to_num(-1e4))) << x.sizes();
  }
}

TEST_P(EmulatedKernelsTest, NormRopeQkvIntoCacheRows) {
  struct Heads {
    int64_t rows, heads, head_dim, gap;
  };
  for (const Heads& h : {Heads{3, 4, 32, 0}, {2, 3, 26, 1}, {2, 24, 128, 8}, {1, 2, 600, 0}}) {
    const at::Tensor raw = Random({2, h.rows, 3 * h.heads * h.head_dim + h.gap});
    const auto part = [&](int64_t i) {
      return raw.narrow(2, h.gap + i * h.heads * h.head_dim, h.heads * h.head_dim)
          .unflatten(2, {h.heads, h.head_dim});
    };
    const QkvRows in = {part(0), part(1), part(2)};
    const at::Tensor q_weight = Random({h.head_dim}), k_weight = Random({h.head_dim});
    const at::Tensor angles = at::randn({h.rows, h.head_dim / 2});
    const at::Tensor cos = angles.cos(), sin = angles.sin();
    // Rows of a longer cache.
    const at::Tensor expected =
        at::full({3, 2, h.rows + 5, h.heads, h.head_dim}, 1e4, raw.options());
    const at::Tensor actual = expected.clone();
    const auto rows_in = [&](const at::Tensor& cache) {
      const at::Tensor rows = cache.narrow(2, 2, h.rows);
      return QkvRows{rows[0], rows[1], rows[2]};
    };
    reference::NormRopeQkv(in, q_weight, k_weight, cos, sin, kEps, rows_in(expected));
    const QkvRows out = rows_in(actual);
    cuda::NormRopeQkv(ElementOf(raw), {2, h.rows, h.heads, h.head_dim},
                      {RowsOf(in.q), RowsOf(in.k), RowsOf(in.v)}, q_weight.const_data_ptr(),
                      k_weight.const_data_ptr(),
                      {cos.const_data_ptr<float>(), sin.const_data_ptr<float>()}, kEps,
                      {MutableRowsOf(out.q), MutableRowsOf(out.k), MutableRowsOf(out.v)}, nullptr);
    ExpectNear(expected, actual);
    EXPECT_TRUE(at::equal(expected[2], actual[2]));  // v, and what was there before
  }
}

TEST_P(EmulatedKernelsTest, EulerUpdate) {
  for (const int64_t count : {1, 127, 4096}) {
    at::Tensor latents = Random({count}), expected = latents.clone();
    const at::Tensor velocity = Random({count});
    reference::EulerUpdate(expected, velocity, -0.137F);
    cuda::EulerUpdate(ElementOf(latents), count, latents.mutable_data_ptr(),
                      velocity.const_data_ptr(), -0.137F, nullptr);
    EXPECT_TRUE(at::equal(expected, latents)) << count;
  }
}

TEST_P(EmulatedKernelsTest, PictureToRgb8OfAnyStrides) {
  const at::Tensor dense = Random({2, 3, 19, 33});
  for (const at::Tensor& picture : {dense, dense.contiguous(at::MemoryFormat::ChannelsLast)}) {
    const at::Tensor rgb = at::full({2, 19, 33, 3}, 77, at::kByte);
    cuda::PictureToRgb8(ElementOf(picture),
                        {picture.const_data_ptr(), 2, 19, 33, picture.stride(0), picture.stride(1),
                         picture.stride(2), picture.stride(3)},
                        rgb.mutable_data_ptr<uint8_t>(), nullptr);
    EXPECT_TRUE(at::equal(reference::PictureToRgb8(picture), rgb));
  }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, EmulatedKernelsTest,
                         ::testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         [](const auto& test) { return c10::toString(test.param); });

}  // namespace
}  // namespace tessera
