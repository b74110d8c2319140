#include "worker/kernels/kernel_choice.h"

#include <ATen/Context.h>

#include <atomic>

namespace tessera {
namespace {

// The switches; see the header.
std::atomic<Gemm> chosen_gemm = Gemm::kAten;
std::atomic<StepGraphs> chosen_step_graphs = StepGraphs::kOff;
std::atomic<Fp8Accumulation> chosen_fp8_accumulation = Fp8Accumulation::kExact;

}  // namespace

void SetGemm(Gemm choice) { chosen_gemm = choice; }
Gemm ChosenGemm() { return chosen_gemm; }

void SetFp8Accumulation(Fp8Accumulation choice) { chosen_fp8_accumulation = choice; }
Fp8Accumulation ChosenFp8Accumulation() { return chosen_fp8_accumulation; }

void SetAttention(Attention choice) {
  const auto runs = [choice](Attention kernel) {
    return choice == Attention::kAuto || choice == kernel;
  };
  at::Context& context = at::globalContext();
  context.setSDPUseCuDNN(runs(Attention::kCudnn));
  context.setSDPUseFlash(runs(Attention::kFlash));
  context.setSDPUseMemEfficient(runs(Attention::kEfficient));
  context.setSDPUseMath(choice == Attention::kAuto);
}

void SetStepGraphs(StepGraphs choice) { chosen_step_graphs = choice; }
StepGraphs ChosenStepGraphs() { return chosen_step_graphs; }

void SetCudaPath(CudaPath choice) {
  const bool tuned = choice == CudaPath::kTuned;
  SetCudaKernels(tuned ? CudaKernels::kFused : CudaKernels::kAten);
  SetGemm(tuned ? Gemm::kCublasLt : Gemm::kAten);
  SetStepGraphs(tuned ? StepGraphs::kOn : StepGraphs::kOff);
}

}  // namespace tessera
