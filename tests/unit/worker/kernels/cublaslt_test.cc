#include "worker/kernels/linear/cublaslt.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/unit/worker/kernels/fake_cublaslt.h"
#include "worker/kernels/fp8_rows.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using Trouble = FakeCublasLt::Trouble;

// With a stand-in for the library that multiplies on the CPU.
class CublasLtTest : public ::testing::Test {
 protected:
  CublasLtTest() { at::manual_seed(11); }

  static LinearOperands Random(int64_t rows, int64_t in, int64_t out,
                               at::ScalarType type = at::kFloat) {
    return {.x = at::randn({rows, in}).to(type),
            .weight = (at::randn({out, in}) / 4).to(type),
            .bias = at::randn({out}).to(type),
            .y = at::zeros({rows, out}, type)};
  }

  static LinearOperands RandomFp8(int64_t rows, int64_t in, int64_t out) {
    // Rows of different magnitude, so that each needs its own scale.
    const at::Tensor magnitudes = at::logspace(-2, 2, std::max(rows, out)).unsqueeze(1);
    const Fp8Rows x = QuantizeRows(at::randn({rows, in}) * magnitudes.narrow(0, 0, rows), {});
    const Fp8Rows weight = QuantizeRows(at::randn({out, in}) / magnitudes.narrow(0, 0, out), {});
    return {.x = x.values,
            .weight = weight.values,
            .bias = at::randn({out}).to(at::kBFloat16),
            .y = at::zeros({rows, out}, at::kBFloat16),
            .x_scales = x.scales,
            .weight_scales = weight.scales};
  }

  // In double precision.
  static at::Tensor Expected(const LinearOperands& o) {
    const auto exact = [](const at::Tensor& t, const at::Tensor& scales) {
      const at::Tensor values = t.to(at::kFloat).to(at::kDouble);
      return scales.defined() ? values * scales.view({-1, 1}) : values;
    };
    const at::Tensor y = at::linear(exact(o.x, o.x_scales), exact(o.weight, o.weight_scales),
                                    o.bias.to(at::kDouble));
    return o.activation == Activation::kGeluTanh ? at::gelu(y, "tanh") : y;
  }

  void ExpectRight(const LinearOperands& o) {
    ASSERT_TRUE(lt_.Linear(o, nullptr)) << o.x.sizes() << o.weight.sizes();
    const double tolerance = o.y.scalar_type() == at::kFloat  ? 1e-6
                             : o.y.scalar_type() == at::kHalf ? 1e-3
                                                              : 8e-3;
    EXPECT_TRUE(at::allclose(Expected(o), o.y.to(at::kDouble), tolerance, tolerance))
        << o.x.sizes() << o.weight.sizes() << o.x.scalar_type();
  }

  const c10::InferenceMode inference_;
  FakeCublasLt fake_;
  CublasLt lt_{fake_.Library()};
};

TEST_F(CublasLtTest, IsALinearLayerInEveryType) {
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (const auto activation : {Activation::kNone, Activation::kGeluTanh}) {
      for (const auto& [rows, in, out] :
           {std::tuple{1, 8, 16}, {7, 5, 3}, {33, 96, 48}, {16, 16, 16}, {2, 1, 1}}) {
        LinearOperands o = Random(rows, in, out, type);
        o.activation = activation;
        ExpectRight(o);
      }
    }
  }
}

TEST_F(CublasLtTest, TakesRowsThatAreApartAndWritesBesideOthers) {
  for (const int64_t rows : {1, 2, 9}) {
    for (const int64_t gap : {1, 3, 8}) {
      LinearOperands o = Random(rows, 12, 20);
      const at::Tensor wide_x = at::randn({rows, 12 + 2 * gap});
      const at::Tensor wide_y = at::full({rows, 20 + 2 * gap}, 5.0F);
      o.x = wide_x.narrow(1, gap, 12);
      o.y = wide_y.narrow(1, gap, 20);
      o.activation = Activation::kGeluTanh;
      ExpectRight(o);
      EXPECT_TRUE(at::equal(wide_y.narrow(1, 0, gap), at::full({rows, gap}, 5.0F)));
      EXPECT_TRUE(at::equal(wide_y.narrow(1, 20 + gap, gap), at::full({rows, gap}, 5.0F)));
    }
  }
}

TEST_F(CublasLtTest, Fp8RowsHaveTheirOwnScales) {
  for (const auto activation : {Activation::kNone, Activation::kGeluTanh}) {
    for (const auto& [rows, in, out] :
         {std::tuple{1, 16, 32}, {16, 32, 16}, {33, 96, 48}, {7, 16, 16}}) {
      LinearOperands o = RandomFp8(rows, in, out);
      o.activation = activation;
      ExpectRight(o);
    }
  }
}

TEST_F(CublasLtTest, Fp8WritesBesideOthers) {
  LinearOperands o = RandomFp8(5, 32, 48);
  const at::Tensor wide = at::zeros({5, 64}, at::kBFloat16);
  o.y = wide.narrow(1, 16, 48);
  ExpectRight(o);
  EXPECT_TRUE(at::equal(wide.narrow(1, 0, 16), at::zeros({5, 16}, at::kBFloat16)));
}

TEST_F(CublasLtTest, AccumulationIsAChoice) {
  LinearOperands o = RandomFp8(4, 16, 16);
  ASSERT_TRUE(lt_.Linear(o, nullptr));
  EXPECT_FALSE(fake_.fast_accumulation());
  o.accumulation = Fp8Accumulation::kFast;
  ASSERT_TRUE(lt_.Linear(o, nullptr));
  EXPECT_TRUE(fake_.fast_accumulation());
  EXPECT_EQ(fake_.searches(), 2);
}

TEST_F(CublasLtTest, RunsOnTheGivenStream) {
  int stream = 0;
  ASSERT_TRUE(lt_.Linear(Random(2, 4, 4), &stream));
  EXPECT_EQ(fake_.stream(), &stream);
}

TEST_F(CublasLtTest, NoRowsAreNoWork) {
  EXPECT_TRUE(lt_.Linear(Random(0, 8, 16), nullptr));
  EXPECT_TRUE(lt_.Linear(RandomFp8(0, 16, 16), nullptr));
  EXPECT_EQ(fake_.products(), 0);
}

TEST_F(CublasLtTest, GivesAnAlgorithmItsWorkspace) {
  fake_.Give(Trouble::kNeedsWorkspace);
  ExpectRight(Random(3, 8, 8));
}

TEST_F(CublasLtTest, ShapeIsSearchedOnce) {
  for (int i = 0; i < 3; ++i) ExpectRight(Random(7, 8, 4));
  EXPECT_EQ(fake_.searches(), 1);
  ExpectRight(Random(8, 8, 4));
  EXPECT_EQ(fake_.searches(), 2);
  LinearOperands gelu = Random(7, 8, 4);
  gelu.activation = Activation::kGeluTanh;
  ExpectRight(gelu);
  EXPECT_EQ(fake_.searches(), 3);
  LinearOperands apart = Random(7, 8, 4);
  apart.x = at::randn({7, 16}).narrow(1, 0, 8);
  ExpectRight(apart);
  EXPECT_EQ(fake_.searches(), 4);
  LinearOperands unaligned = Random(7, 8, 4);
  unaligned.x = at::randn({7, 16}).narrow(1, 1, 8);
  ExpectRight(unaligned);
  EXPECT_EQ(fake_.searches(), 5);
}

TEST_F(CublasLtTest, RemembersSoManyShapesAtMost) {
  const auto most = static_cast<int64_t>(CublasLt::kMostChoices);
  for (int64_t rows = 1; rows <= most; ++rows) ASSERT_TRUE(lt_.Linear(Random(rows, 1, 1), nullptr));
  ASSERT_TRUE(lt_.Linear(Random(1, 1, 1), nullptr));
  EXPECT_EQ(fake_.searches(), most);
  ASSERT_TRUE(lt_.Linear(Random(most + 1, 1, 1), nullptr));
  ASSERT_TRUE(lt_.Linear(Random(1, 1, 1), nullptr));
  EXPECT_EQ(fake_.searches(), most + 2);
}

TEST_F(CublasLtTest, WithoutAnAlgorithmTheCallerDoesIt) {
  for (const Trouble trouble : {Trouble::kNoHeuristic, Trouble::kNoAlgorithm}) {
    CublasLt lt(fake_.Library());
    fake_.Give(trouble);
    const int before = fake_.searches();
    EXPECT_FALSE(lt.Linear(Random(7, 5, 3), nullptr));
    EXPECT_FALSE(lt.Linear(Random(7, 5, 3), nullptr));
    EXPECT_EQ(fake_.searches(), before + 1);
  }
  EXPECT_EQ(fake_.products(), 0);
}

TEST_F(CublasLtTest, FailureNamesTheShape) {
  const std::pair<Trouble, const char*> failures[] = {
      {Trouble::kHeuristicFails, "cublasLtMatmulAlgoGetHeuristic"},
      {Trouble::kMatmulFails, "cublasLtMatmul"}};
  for (const auto& [trouble, function] : failures) {
    fake_.Give(trouble);
    try {
      lt_.Linear(Random(7, 5, 3), nullptr);
      ADD_FAILURE() << function << " failed, and nobody heard";
    } catch (const c10::Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(function));
      EXPECT_THAT(error.what(), HasSubstr("made to fail"));
      EXPECT_THAT(error.what(), HasSubstr("y[7, 3] = x[7, 5] W[3, 5]^T"));
    }
  }
  EXPECT_EQ(fake_.objects(), 1);  // the handle
}

TEST_F(CublasLtTest, FailureIsNotRemembered) {
  fake_.Give(Trouble::kHeuristicFails);
  EXPECT_THROW(lt_.Linear(Random(7, 5, 3), nullptr), c10::Error);
  fake_.Give(Trouble::kNone);
  ExpectRight(Random(7, 5, 3));
}

TEST_F(CublasLtTest, WithoutAHandleThereIsNoObject) {
  fake_.Give(Trouble::kNoHandle);
  EXPECT_THROW(CublasLt(fake_.Library()), c10::Error);
}

TEST_F(CublasLtTest, GivesBackWhatItMade) {
  {
    CublasLt lt(fake_.Library());
    ASSERT_TRUE(lt.Linear(Random(7, 5, 3), nullptr));
    ASSERT_TRUE(lt.Linear(RandomFp8(7, 16, 16), nullptr));
  }
  EXPECT_EQ(fake_.objects(), 1);  // the handle of lt_
}

TEST_F(CublasLtTest, DeclinesOperandsWithoutAForm) {
  const auto declines = [this](const char* what, const LinearOperands& operands) {
    EXPECT_FALSE(lt_.Linear(operands, nullptr)) << what;
  };
  declines("doubles", Random(4, 8, 8, at::kDouble));
  LinearOperands o = Random(4, 8, 8);
  o.bias = o.bias.to(at::kHalf);
  declines("a bias of another type", o);
  o = Random(4, 8, 8);
  o.bias = at::randn({16}).narrow(0, 1, 8);
  declines("a bias off 16 bytes", o);
  o = Random(4, 8, 8);
  o.weight = o.weight.t();
  declines("a transposed weight", o);
  o = Random(4, 8, 8);
  o.x = at::randn({1, 8}).expand({4, 8});
  declines("one row many times", o);
  o = Random(4, 8, 8);
  o.x = at::randn({8, 4}).t();
  declines("columns", o);
  o = Random(4, 8, 8);
  o.x = at::randn({5, 8});
  declines("other numbers of rows", o);
  declines("FP8 of odd width", RandomFp8(4, 24, 16));
  declines("FP8 of odd height", RandomFp8(4, 16, 24));
  o = RandomFp8(4, 16, 16);
  o.x_scales.reset();
  declines("FP8 without scales", o);
  o = RandomFp8(4, 16, 16);
  o.y = o.y.to(at::kFloat);
  declines("FP8 into float32", o);
  o = RandomFp8(4, 16, 16);
  o.y = at::zeros({4, 32}, at::kBFloat16).narrow(1, 4, 16);
  declines("FP8 off 16 bytes", o);
  EXPECT_EQ(fake_.products(), 0);
}

TEST_F(CublasLtTest, ThreadsShareIt) {
  std::vector<LinearOperands> layers;
  for (int64_t i = 0; i < 24; ++i) layers.push_back(Random(1 + i % 5, 8, 8));
  {
    std::vector<std::jthread> threads;
    for (size_t first = 0; first < 3; ++first) {
      threads.emplace_back([&, first] {
        for (size_t i = first; i < layers.size(); i += 3) lt_.Linear(layers[i], nullptr);
      });
    }
  }
  for (const LinearOperands& o : layers) {
    EXPECT_TRUE(at::allclose(Expected(o), o.y.to(at::kDouble), 1e-6, 1e-6));
  }
  EXPECT_EQ(fake_.searches(), 5);
}

}  // namespace
}  // namespace tessera
