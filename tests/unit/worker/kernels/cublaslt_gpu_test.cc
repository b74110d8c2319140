#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/gpu.h"
#include "worker/kernels/cuda/device_graph.h"
#include "worker/kernels/fp8_rows.h"
#include "worker/kernels/linear/cublaslt.h"
#include "worker/kernels/linear/fp8_linear.h"
#include "worker/kernels/linear/linear.h"

namespace tessera {
namespace {

constexpr KernelChoice kByCublasLt = {.gemm = Gemm::kCublasLt};

struct Sizes {
  int64_t rows, in, out;
};

// A single row, odd sizes, and layers of FLUX over the rows of a rank.
constexpr Sizes kSizes[] = {{1, 64, 64},        {7, 5, 3},          {33, 96, 48},
                            {64, 3072, 3072},   {320, 3072, 12288}, {257, 12288, 3072},
                            {576, 15360, 3072}, {0, 64, 64}};

// Layers by cuBLASLt against ATen in double precision, on the GPU.
class CublasLtGpuTest : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    TESSERA_SKIP_WITHOUT_GPU();
    at::manual_seed(7);
  }

  static at::Tensor Random(at::IntArrayRef sizes, double scale = 1) {
    return (at::randn(sizes, at::kFloat) * scale).to(at::kCUDA, GetParam());
  }
  static at::Tensor RandomWeight(const Sizes& s) {
    return Random({s.out, s.in}, 1 / std::sqrt(static_cast<double>(s.in)));
  }

  static at::Tensor Exact(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    return at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
  }

  static double Tolerance() {
    return GetParam() == at::kFloat ? 2e-5 : GetParam() == at::kHalf ? 1e-3 : 8e-3;
  }
};

void ExpectNear(const at::Tensor& expected, const at::Tensor& actual, double tolerance,
                const Sizes& s) {
  EXPECT_EQ(expected.sizes(), actual.sizes());
  EXPECT_TRUE(at::allclose(expected, actual.to(at::kDouble), tolerance, tolerance))
      << s.rows << "x" << s.in << "x" << s.out << ", largest difference "
      << (expected - actual).abs().max().item<double>();
}

TEST_P(CublasLtGpuTest, LinearAndLinearGelu) {
  for (const Sizes& s : kSizes) {
    // Rows of two sequences, each a part of a longer one.
    const at::Tensor x = Random({2, s.rows + 3, s.in}).narrow(1, 1, s.rows);
    const at::Tensor weight = RandomWeight(s), bias = Random({s.out});
    const at::Tensor exact = Exact(x, weight, bias);
    ExpectNear(exact, LinearOp(x, weight, bias, kByCublasLt), Tolerance(), s);
    ExpectNear(at::gelu(exact, "tanh"), LinearGelu(x, weight, bias, kByCublasLt), Tolerance(), s);
  }
}

// As in a single block: GELU(x W^T + b) beside other features, which must not change.
TEST_P(CublasLtGpuTest, LinearGeluBesideOtherFeatures) {
  for (const Sizes& s : kSizes) {
    for (const int64_t gap : {8, 1}) {
      const at::Tensor x = Random({s.rows, s.in + gap}).narrow(1, gap, s.in);
      const at::Tensor weight = RandomWeight(s), bias = Random({s.out});
      const at::Tensor wide = Random({s.rows, gap + s.out}), left = wide.narrow(1, 0, gap).clone();
      at::Tensor right = wide.narrow(1, gap, s.out);
      LinearGeluInto(x, weight, bias, right, kByCublasLt);
      ExpectNear(at::gelu(Exact(x, weight, bias), "tanh"), right, Tolerance(), s);
      EXPECT_TRUE(at::equal(wide.narrow(1, 0, gap), left));
    }
  }
}

// Nothing above went to ATen in silence.
TEST_P(CublasLtGpuTest, RunsEveryLayerOfAlignedSizes) {
  for (const Sizes& s : kSizes) {
    if (s.in % 16 != 0 || s.out % 16 != 0) continue;
    for (const auto activation : {Activation::kNone, Activation::kGeluTanh}) {
      EXPECT_TRUE(LinearByCublasLt({.x = Random({s.rows, s.in}),
                                    .weight = RandomWeight(s),
                                    .bias = Random({s.out}),
                                    .y = Random({s.rows, s.out}),
                                    .activation = activation}))
          << s.rows << "x" << s.in << "x" << s.out;
    }
  }
}

// Of other tensors and another handle, as in another process of the same kind.
TEST_P(CublasLtGpuTest, SameBytesEveryTime) {
  const Sizes s = {288, 3072, 3072};
  const at::Tensor x = Random({s.rows, s.in}), weight = RandomWeight(s), bias = Random({s.out});
  const at::Tensor first = LinearOp(x, weight, bias, kByCublasLt);
  for (int i = 0; i < 3; ++i) {
    const at::Tensor again = at::zeros_like(first);
    CublasLt lt(*cublaslt::Open());
    const at::Tensor between = at::zeros({1000 + 16 * i}, x.options());  // moves the next ones
    ASSERT_TRUE(lt.Linear({.x = x.clone(), .weight = weight.clone(), .bias = bias, .y = again},
                          /*stream=*/nullptr));
    EXPECT_TRUE(at::equal(first, again));
  }
}

// Few rows: an algorithm that cuts its sums needs a workspace, which the graph has to keep.
TEST_P(CublasLtGpuTest, RunsAgainInAGraph) {
  const std::unique_ptr<GraphRecorder> recorder =
      MakeGraphRecorder(at::Device("cuda:0"), {.step_graphs = StepGraphs::kOn});
  if (recorder == nullptr) GTEST_SKIP() << "built without nvcc, so there are no CUDA graphs";
  for (const Sizes& s : {Sizes{16, 12288, 512}, Sizes{64, 3072, 3072}}) {
    const at::Tensor x = Random({s.rows, s.in}), weight = RandomWeight(s), bias = Random({s.out});
    at::Tensor y = LinearGelu(x, weight, bias, kByCublasLt);
    const std::unique_ptr<DeviceGraph> graph =
        recorder->Record([&] { LinearGeluInto(x, weight, bias, y, kByCublasLt); });
    for (int i = 0; i < 2; ++i) {
      x.copy_(Random({s.rows, s.in}));
      graph->Replay();
      EXPECT_TRUE(at::equal(y, LinearGelu(x, weight, bias, kByCublasLt)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, CublasLtGpuTest,
                         ::testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         [](const auto& test) { return c10::toString(test.param); });

class CublasLtGpuFp8Test : public ::testing::Test {
 protected:
  void SetUp() override {
    TESSERA_SKIP_WITHOUT_GPU();
    at::manual_seed(7);
  }
};

TEST_F(CublasLtGpuFp8Test, ProductOfTheQuantisedMatrices) {
  for (const Sizes& s : kSizes) {
    if (s.in % 16 != 0 || s.out % 16 != 0) continue;
    const Fp8Rows x = QuantizeRows(at::randn({s.rows, s.in}).to(at::kCUDA), {}),
                  weight = QuantizeRows(
                      at::randn({s.out, s.in}).to(at::kCUDA) / std::sqrt(static_cast<double>(s.in)),
                      {});
    const at::Tensor bias = at::randn({s.out}).to(at::kCUDA, at::kBFloat16);
    const at::Tensor exact = at::linear(Dequantized(x).to(at::kDouble),
                                        Dequantized(weight).to(at::kDouble), bias.to(at::kDouble));
    for (const auto accumulation : {Fp8Accumulation::kExact, Fp8Accumulation::kFast}) {
      const double tolerance = accumulation == Fp8Accumulation::kExact ? 8e-3 : 5e-2;
      const auto run = [&](Activation activation, const at::Tensor& y) {
        return LinearByCublasLt({.x = x.values,
                                 .weight = weight.values,
                                 .bias = bias,
                                 .y = y,
                                 .x_scales = x.scales,
                                 .weight_scales = weight.scales,
                                 .activation = activation,
                                 .accumulation = accumulation});
      };
      const at::Tensor y = at::zeros({s.rows, s.out}, bias.options());
      if (!run(Activation::kNone, y)) {
        GTEST_SKIP() << "this GPU's cuBLASLt has no FP8 with a scale for each row";
      }
      ExpectNear(exact, y, tolerance, s);
      KernelChoice kernels = {.gemm = Gemm::kCublasLt, .fp8_accumulation = accumulation};
      EXPECT_TRUE(at::equal(Fp8Linear(x, weight, bias, kernels), y));
      kernels.gemm = Gemm::kAten;
      ExpectNear(exact, Fp8Linear(x, weight, bias, kernels), tolerance, s);
      // May have no algorithm.
      if (run(Activation::kGeluTanh, y)) ExpectNear(at::gelu(exact, "tanh"), y, tolerance, s);
    }
  }
}

// It becomes the default once its tests have run on a GPU.
TEST(CublasLtGpuChoiceTest, AtenIsTheDefault) {
  TESSERA_SKIP_WITHOUT_GPU();
  EXPECT_FALSE(GoesToCublasLt(at::zeros({1, 8}, at::kCUDA), {}));
}

}  // namespace
}  // namespace tessera
