#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/kernels/fp8_rows.h"
#include "worker/kernels/layer_norm_modulate.h"
#include "worker/kernels/linear/fp8_linear.h"

namespace tessera {
namespace {

// The nearest E4M3 number, ties to even: three bits of fraction, exponents from -6 on.
float NearestE4m3(float x) {
  if (x == 0) return x;
  const float step = std::ldexp(1.0F, std::max(std::ilogb(x), -6) - 3);
  return std::nearbyint(x / step) * step;
}

void ExpectEqual(const Fp8Rows& expected, const Fp8Rows& actual) {
  EXPECT_TRUE(at::equal(expected.values.view(at::kByte), actual.values.view(at::kByte)));
  EXPECT_TRUE(at::equal(expected.scales, actual.scales));
}

class Fp8OpsTest : public ::testing::Test {
 protected:
  Fp8OpsTest() { at::manual_seed(5); }
  const c10::InferenceMode inference_;
};

// Three bits of fraction: half of 2^-3 of the value at most, or half of the smallest step, 2^-9.
TEST_F(Fp8OpsTest, RowsAreWithinHalfAStepOfE4M3) {
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const at::Tensor x = (at::randn({33, 127}) * at::logspace(-3, 3, 33).unsqueeze(1)).to(type);
    const Fp8Rows rows = QuantizeRows(x, {});
    const at::Tensor exact = x.to(at::kFloat);
    const at::Tensor allowed = at::maximum(exact.abs() / 16, rows.scales / 1024) * 1.0001;
    EXPECT_TRUE((Dequantized(rows) - exact).abs().le(allowed).all().item<bool>()) << type;
  }
}

TEST_F(Fp8OpsTest, RowsAreWhatAPlainLoopGives) {
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (const int64_t width : {1, 7, 127, 3072}) {
      const at::Tensor wide = at::randn({2, 3, width + 5}) * at::logspace(-4, 3, 3).unsqueeze(1);
      const at::Tensor x = wide.to(type).narrow(-1, 5, width);
      const Fp8Rows rows = QuantizeRows(x, {});
      ASSERT_EQ(rows.values.sizes(), x.sizes());
      ASSERT_EQ(rows.scales.sizes(), at::IntArrayRef({2, 3, 1}));
      ASSERT_TRUE(rows.values.is_contiguous() && rows.scales.is_contiguous());
      const at::Tensor flat = x.to(at::kFloat).reshape({6, width}),
                       values = rows.values.to(at::kFloat).view({6, width});
      for (int64_t r = 0; r < 6; ++r) {
        float largest = 0;
        for (int64_t c = 0; c < width; ++c)
          largest = std::max(largest, std::abs(flat[r][c].item<float>()));
        const float scale = largest / 448;
        ASSERT_EQ(rows.scales.flatten()[r].item<float>(), scale);
        for (int64_t c = 0; c < width; ++c) {
          const float value = NearestE4m3(flat[r][c].item<float>() / scale);
          ASSERT_EQ(values[r][c].item<float>(), std::min(std::max(value, -448.0F), 448.0F))
              << type << " width " << width << " row " << r << " column " << c;
        }
      }
    }
  }
}

TEST_F(Fp8OpsTest, ModulatedRowsAreQuantisedOnes) {
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (const int64_t width : {1, 33, 96}) {
      const at::Tensor x = at::randn({2, 6, width}).to(type).narrow(1, 2, 3);
      const at::Tensor vectors = at::randn({2, 1, 3 * width}).to(type);
      const at::Tensor shift = vectors.narrow(-1, 0, width),
                       scale = vectors.narrow(-1, width, width);
      ExpectEqual(QuantizeRows(LayerNormModulate(x, shift, scale, 1e-6, {}), {}),
                  LayerNormModulateFp8(x, shift, scale, 1e-6, {}));
      const Fp8Rows twin = reference::LayerNormModulateFp8(x, shift, scale, 1e-6);
      const at::Tensor norm = at::layer_norm(x, {width}, {}, {}, 1e-6);
      ExpectEqual(QuantizeRows(norm * (1 + scale) + shift, {}), twin);
    }
  }
}

TEST_F(Fp8OpsTest, GeluRowsHaveOneScaleOverBothParts) {
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (const auto& [head_width, tail_width] : {std::pair{24, 96}, {5, 3}, {1, 127}}) {
      const at::Tensor head =
          (3 * at::randn({2, 7, head_width + 4})).to(type).narrow(-1, 1, head_width);
      const at::Tensor tail = at::randn({2, 9, tail_width}).to(type).narrow(1, 1, 7);
      const at::Tensor gelu = at::gelu(tail.contiguous(), "tanh");
      ExpectEqual(QuantizeRows(at::cat({head, gelu}, -1), {}), QuantizeGeluRows(head, tail, {}));
      ExpectEqual(QuantizeRows(gelu, {}), QuantizeGeluRows({}, tail, {}));
    }
  }
}

TEST_F(Fp8OpsTest, NoRowsGiveNoRows) {
  const at::Tensor none = at::empty({2, 0, 8}), vectors = at::zeros({1, 1, 8});
  EXPECT_EQ(QuantizeRows(none, {}).values.sizes(), none.sizes());
  EXPECT_EQ(LayerNormModulateFp8(none, vectors, vectors, 1e-6, {}).values.sizes(), none.sizes());
  EXPECT_EQ(QuantizeGeluRows(none, none, {}).values.sizes(), at::IntArrayRef({2, 0, 16}));
}

TEST_F(Fp8OpsTest, LargestOfARowIs448) {
  const Fp8Rows rows = QuantizeRows(at::randn({65, 24}), {});
  EXPECT_TRUE(at::equal(rows.values.to(at::kFloat).abs().amax(1), at::full({65}, 448.0F)));
}

TEST_F(Fp8OpsTest, ZerosStayZerosAndWhatIsNotFiniteIsSeen) {
  const at::Tensor x = at::zeros({3, 8});
  x[1][2] = std::numeric_limits<float>::quiet_NaN();
  x[2][5] = std::numeric_limits<float>::infinity();
  const at::Tensor y = Dequantized(QuantizeRows(x, {}));
  EXPECT_TRUE(at::equal(y[0], at::zeros({8})));
  EXPECT_EQ(QuantizeRows(x, {}).scales[0].item<float>(), std::numeric_limits<float>::min());
  EXPECT_TRUE(y[1].isnan().any().item<bool>());
  EXPECT_TRUE(y[2].isnan().any().item<bool>());
}

// What a rank computes must not depend on the rows that its chunk holds.
TEST_F(Fp8OpsTest, ARowIsQuantisedByItself) {
  const at::Tensor x = at::randn({2, 9, 40});
  const Fp8Rows all = QuantizeRows(x, {}), part = QuantizeRows(x.narrow(1, 4, 3), {});
  EXPECT_TRUE(at::equal(Dequantized(part), Dequantized(all).narrow(1, 4, 3)));
}

TEST_F(Fp8OpsTest, DequantizeIntoRoundsToTheTypeOfItsPlace) {
  const Fp8Rows rows = QuantizeRows(at::randn({2, 3, 5, 7}), {});
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const at::Tensor apart = at::zeros({2, 3, 5, 9}, type);
    at::Tensor place = apart.narrow(-1, 1, 7);
    DequantizeInto(rows, place, {});
    EXPECT_TRUE(at::equal(place, (rows.values.to(at::kFloat) * rows.scales).to(type))) << type;
    EXPECT_EQ(apart.select(-1, 0).count_nonzero().item<int64_t>(), 0);
    EXPECT_EQ(apart.select(-1, 8).count_nonzero().item<int64_t>(), 0);
  }
}

TEST_F(Fp8OpsTest, LinearIsTheProductOfTheQuantisedMatrices) {
  for (const auto& [rows, in, out] :
       {std::tuple{1, 16, 32}, {0, 16, 32}, {33, 96, 48}, {7, 5, 3}}) {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      const Fp8Rows x = QuantizeRows(at::randn({rows, in}), {}),
                    weight = QuantizeRows(at::randn({out, in}), {});
      const at::Tensor bias = at::randn({out}).to(type);
      const at::Tensor expected =
          at::linear(Dequantized(x).to(at::kDouble), Dequantized(weight).to(at::kDouble),
                     bias.to(at::kDouble));
      const at::Tensor y = Fp8Linear(x, weight, bias, {});
      EXPECT_EQ(y.scalar_type(), type);
      const double tolerance = type == at::kFloat ? 1e-5 : 8e-3;
      EXPECT_TRUE(at::allclose(expected, y.to(at::kDouble), tolerance, tolerance))
          << rows << "x" << in << "x" << out;
    }
  }
}

TEST_F(Fp8OpsTest, LinearKeepsTheBatch) {
  const Fp8Rows x = QuantizeRows(at::randn({2, 5, 16}), {}),
                weight = QuantizeRows(at::randn({8, 16}), {});
  const at::Tensor bias = at::randn({8});
  const at::Tensor y = Fp8Linear(x, weight, bias, {});
  ASSERT_EQ(y.sizes(), at::IntArrayRef({2, 5, 8}));
  const Fp8Rows flat = {x.values.view({10, 16}), x.scales.view({10, 1})};
  EXPECT_TRUE(at::equal(Fp8Linear(flat, weight, bias, {}), y.view({10, 8})));
}

}  // namespace
}  // namespace tessera
