#pragma once

#include <c10/core/Device.h>

#include <memory>

#include "worker/kernels/cuda/device_graph.h"

namespace tessera::cuda {

// Records CUDA graphs on `device`, as at::cuda::CUDAGraph does, by what needs no link with
// LibTorch's CUDA half: the CUDA runtime, and the virtual functions of ATen's allocator.
std::unique_ptr<GraphRecorder> MakeCudaGraphRecorder(c10::Device device);

}  // namespace tessera::cuda
