#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "worker/kernels/gated_add.h"
#include "worker/kernels/layer_norm_modulate.h"
#include "worker/kernels/norm_rope_qkv.h"

namespace tessera {
namespace {

constexpr double kEps = 1e-6;

struct Shape {
  int64_t batch, rows, heads, head_dim;
};

// Odd lengths, a single row, no rows, and widths below and above the kernels' lanes.
const Shape kShapes[] = {{1, 1, 1, 2},   {1, 7, 3, 10},  {2, 5, 4, 24},  {1, 0, 4, 32},
                         {3, 33, 2, 64}, {1, 17, 5, 34}, {2, 64, 3, 128}};

class FusedOpsTest : public ::testing::TestWithParam<std::tuple<Shape, at::ScalarType>> {
 protected:
  FusedOpsTest() { at::manual_seed(7); }
  Shape shape() const { return std::get<0>(GetParam()); }
  at::Tensor Random(at::IntArrayRef sizes) const {
    return at::randn(sizes, at::kFloat).to(std::get<1>(GetParam()));
  }
  // float32 differs in the order of sums only; the other types run the twin itself.
  void ExpectSame(const at::Tensor& expected, const at::Tensor& actual) const {
    const double tolerance = std::get<1>(GetParam()) == at::kFloat ? 2e-5 : 0;
    EXPECT_TRUE(at::allclose(expected, actual, tolerance, tolerance))
        << "largest difference " << (expected - actual).abs().max().item<double>();
  }
};

TEST_P(FusedOpsTest, LayerNormModulateEqualsItsTwin) {
  const auto [batch, rows, heads, head_dim] = shape();
  const int64_t width = heads * head_dim;
  for (const int64_t modulations : {int64_t{1}, batch}) {
    // As in the transformer: shift and scale are slices of one modulation vector.
    const at::Tensor modulation = Random({modulations, 1, 3 * width});
    const at::Tensor shift = modulation.narrow(-1, 0, width),
                     scale = modulation.narrow(-1, width, width);
    const at::Tensor x = Random({batch, rows + 2, width}).narrow(1, 1, rows);
    ExpectSame(reference::LayerNormModulate(x, shift, scale, kEps),
               LayerNormModulate(x, shift, scale, kEps, {}));
  }
}

TEST_P(FusedOpsTest, NormRopeQkvEqualsItsTwinIntoCacheRows) {
  const auto [batch, rows, heads, head_dim] = shape();
  const QkvRows raw = {Random({batch, rows, heads, head_dim}),
                       Random({batch, rows, heads, head_dim}),
                       Random({batch, rows, heads, head_dim})};
  const at::Tensor q_weight = Random({head_dim}), k_weight = Random({head_dim});
  const at::Tensor angle = at::randn({rows, head_dim / 2}, at::kFloat);
  const at::Tensor cos = angle.cos(), sin = angle.sin();
  const auto outputs = [&, rows = rows, batch = batch, heads = heads, head_dim = head_dim] {
    const at::Tensor cache = at::zeros({3, batch, rows + 3, heads, head_dim}, raw.q.options());
    return QkvRows{cache[0].narrow(1, 2, rows), cache[1].narrow(1, 2, rows),
                   cache[2].narrow(1, 2, rows)};
  };
  const QkvRows expected = outputs(), actual = outputs();
  reference::NormRopeQkv(raw, q_weight, k_weight, cos, sin, kEps, expected);
  NormRopeQkv(raw, q_weight, k_weight, cos, sin, kEps, actual, {});
  ExpectSame(expected.q, actual.q);
  ExpectSame(expected.k, actual.k);
  EXPECT_TRUE(at::equal(expected.v, actual.v));
  EXPECT_TRUE(at::equal(raw.v, actual.v));
}

TEST_P(FusedOpsTest, GatedAddEqualsItsTwin) {
  const auto [batch, rows, heads, head_dim] = shape();
  const int64_t width = heads * head_dim;
  for (const int64_t modulations : {int64_t{1}, batch}) {
    const at::Tensor gate = Random({modulations, 1, 2 * width}).narrow(-1, width, width);
    const at::Tensor y = Random({batch, rows, width});
    at::Tensor expected = Random({batch, rows, width}), actual = expected.clone();
    reference::GatedAdd(expected, gate, y);
    GatedAdd(actual, gate, y, {});
    ExpectSame(expected, actual);
  }
}

INSTANTIATE_TEST_SUITE_P(All, FusedOpsTest,
                         ::testing::Combine(::testing::ValuesIn(kShapes),
                                            ::testing::Values(at::kFloat, at::kBFloat16,
                                                              at::kHalf)),
                         [](const auto& test) {
                           const Shape s = std::get<0>(test.param);
                           return absl::StrCat("B", s.batch, "R", s.rows, "H", s.heads, "D",
                                               s.head_dim, c10::toString(std::get<1>(test.param)));
                         });

// Rotation by 90 degrees of a unit-weight row of equal squares: (a, b) -> (-b, a) after the norm.
TEST(FusedOpsValueTest, RopeTurnsNeighbouringFeatures) {
  const at::Tensor x = at::tensor({3.0f, 4.0f}).view({1, 1, 1, 2});
  const at::Tensor one = at::ones({2}), cos = at::zeros({1, 1}), sin = at::ones({1, 1});
  const QkvRows out = {at::empty_like(x), at::empty_like(x), at::empty_like(x)};
  NormRopeQkv({x, x, x}, one, one, cos, sin, 0.0, out, {});
  const float rms = std::sqrt(12.5f);
  EXPECT_TRUE(at::allclose(out.q.flatten(), at::tensor({-4.0f / rms, 3.0f / rms})));
}

}  // namespace
}  // namespace tessera
