#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "worker/kernels/cuda/cuda_kernels.h"
#include "worker/kernels/cuda/cuda_views.h"

namespace tessera::cuda {

// Calls launch(stream), a function of cuda_kernels.h, with the device of `t` current and its
// current stream. Throws c10::Error with the launch's error.
template <typename F>
void Enqueue(const at::Tensor& t, const F& launch) {
  const c10::DeviceGuard guard(t.device());
  const c10::Stream stream = c10::impl::VirtualGuardImpl(at::kCUDA).getStream(t.device());
  const LaunchError error = launch(static_cast<Stream>(stream.native_handle()));
  TORCH_CHECK(error == nullptr, "CUDA kernel: ", error);
}

}  // namespace tessera::cuda
