#include "worker/kernels/kernel_choice.h"

#include <ATen/Context.h>

#include "worker/kernels/dispatch.h"

namespace tessera {

KernelChoice KernelsOf(CudaPath path) {
  if (path == CudaPath::kAten) return {};
  return {
      .cuda_kernels = CudaKernels::kFused, .gemm = Gemm::kCublasLt, .step_graphs = StepGraphs::kOn};
}

bool CudaKernelsBuilt() { return kCudaKernelsBuilt; }

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

}  // namespace tessera
