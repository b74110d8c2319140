#include "worker/kernels/euler_update.h"

#include <ATen/ATen.h>

#include "worker/kernels/cuda/enqueue.h"
#include "worker/kernels/dispatch.h"

namespace tessera {

void EulerUpdate(at::Tensor& latents, const at::Tensor& velocity, float change,
                 KernelChoice kernels) {
  const Tensors all = {&latents, &velocity};
  if constexpr (kCudaKernelsBuilt) {
    if (AreContiguous(all) && RunsOnCuda(all, kernels)) {
      return cuda::Enqueue(latents, [&](cuda::Stream stream) {
        return cuda::EulerUpdate(cuda::ElementOf(latents), latents.numel(),
                                 latents.mutable_data_ptr(), velocity.const_data_ptr(), change,
                                 stream);
      });
    }
  }
  reference::EulerUpdate(latents, velocity, change);
}

namespace reference {

void EulerUpdate(at::Tensor& latents, const at::Tensor& velocity, float change) {
  // A tensor of the working dtype on the CPU: rounds, and needs no copy to another device.
  const at::Tensor factor = at::scalar_tensor(change, velocity.scalar_type());
  latents.copy_(latents.to(at::kFloat).add(velocity * factor));
}

}  // namespace reference
}  // namespace tessera
