#include "worker/kernels/cuda/device_graph.h"

#include "worker/kernels/cuda/cuda_graph.h"
#include "worker/kernels/dispatch.h"

namespace tessera {

std::unique_ptr<GraphRecorder> MakeGraphRecorder(c10::Device device, KernelChoice kernels) {
  if constexpr (kCudaKernelsBuilt) {
    if (device.is_cuda() && kernels.step_graphs == StepGraphs::kOn) {
      return cuda::MakeCudaGraphRecorder(device);
    }
  }
  return nullptr;
}

}  // namespace tessera
