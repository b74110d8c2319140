#include "worker/kernels/kernel_choice.h"

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <array>

namespace tessera {
namespace {

using Enabled = std::array<bool, 4>;  // cuDNN, flash, memory-efficient, plain

Enabled EnabledKernels() {
  const at::Context& context = at::globalContext();
  return {context.userEnabledCuDNNSDP(), context.userEnabledFlashSDP(),
          context.userEnabledMemEfficientSDP(), context.userEnabledMathSDP()};
}

TEST(KernelChoiceTest, AtenComputesUnlessToldOtherwise) {
  const KernelChoice kernels;
  EXPECT_EQ(kernels.cuda_kernels, CudaKernels::kAten);
  EXPECT_EQ(kernels.gemm, Gemm::kAten);
  EXPECT_EQ(kernels.fp8_accumulation, Fp8Accumulation::kExact);
  EXPECT_EQ(kernels.step_graphs, StepGraphs::kOff);
  EXPECT_EQ(KernelsOf(CudaPath::kAten), kernels);
}

TEST(KernelChoiceTest, TunedPathIsAllOfOursWithExactSums) {
  const KernelChoice kernels = KernelsOf(CudaPath::kTuned);
  EXPECT_EQ(kernels.cuda_kernels, CudaKernels::kFused);
  EXPECT_EQ(kernels.gemm, Gemm::kCublasLt);
  EXPECT_EQ(kernels.fp8_accumulation, Fp8Accumulation::kExact);
  EXPECT_EQ(kernels.step_graphs, StepGraphs::kOn);
}

TEST(KernelChoiceTest, ChosenAttentionRunsAlone) {
  const Enabled before = EnabledKernels();
  SetAttention(Attention::kCudnn);
  EXPECT_EQ(EnabledKernels(), (Enabled{true, false, false, false}));
  SetAttention(Attention::kFlash);
  EXPECT_EQ(EnabledKernels(), (Enabled{false, true, false, false}));
  SetAttention(Attention::kEfficient);
  EXPECT_EQ(EnabledKernels(), (Enabled{false, false, true, false}));
  SetAttention(Attention::kAuto);
  EXPECT_EQ(EnabledKernels(), before);
}

}  // namespace
}  // namespace tessera
