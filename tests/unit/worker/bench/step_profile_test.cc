#include "worker/bench/step_profile.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

const StepProfile::Class& Of(const std::array<StepProfile::Class, kKernelClasses>& sums,
                             KernelClass kernel_class) {
  return sums[static_cast<size_t>(kernel_class)];
}

TEST(StepProfileTest, AnOperatorCountsWithoutThoseInsideIt) {
  // linear 0..10 ms holds addmm 1..9, which holds a copy 2..3; gelu 10..14 stands alone.
  const auto sums = SumByClass({{"aten::gelu", 10'000'000, 4'000'000},
                                {"aten::copy_", 2'000'000, 1'000'000},
                                {"aten::linear", 0, 10'000'000},
                                {"aten::addmm", 1'000'000, 8'000'000}},
                               2);
  EXPECT_DOUBLE_EQ(Of(sums, KernelClass::kGemm).ms, 4.5);
  EXPECT_DOUBLE_EQ(Of(sums, KernelClass::kGemm).launches, 1);
  EXPECT_DOUBLE_EQ(Of(sums, KernelClass::kCopy).ms, 0.5);
  EXPECT_DOUBLE_EQ(Of(sums, KernelClass::kElementWise).ms, 2);
  EXPECT_DOUBLE_EQ(Of(sums, KernelClass::kAttention).ms, 0);
}

TEST(StepProfileTest, TimeThatTwoKernelsShareCountsOnce) {
  const auto sums = SumByClass(
      {{"gemm", 0, 3'000'000}, {"flash", 2'000'000, 4'000'000}, {"gelu", 7'000'000, 1'000'000}}, 1);
  EXPECT_DOUBLE_EQ(Of(sums, KernelClass::kGemm).ms, 2);
  EXPECT_DOUBLE_EQ(Of(sums, KernelClass::kAttention).ms, 4);
  EXPECT_DOUBLE_EQ(Of(sums, KernelClass::kElementWise).ms, 1);
}

}  // namespace
}  // namespace tessera
