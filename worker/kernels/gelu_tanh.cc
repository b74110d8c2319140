#include "worker/kernels/gelu_tanh.h"

#include <ATen/ATen.h>

#include "worker/kernels/cuda/enqueue.h"
#include "worker/kernels/dispatch.h"

namespace tessera {

void GeluTanh(const at::Tensor& x, at::Tensor& y, KernelChoice kernels) {
  const Tensors all = {&x, &y};
  if constexpr (kCudaKernelsBuilt) {
    if (RowsAreDense(all) && RunsOnCuda(all, kernels)) {
      const auto with_batch = [](const at::Tensor& t) { return t.dim() == 2 ? t.unsqueeze(0) : t; };
      const at::Tensor in = with_batch(x), out = with_batch(y);
      return cuda::Enqueue(x, [&](cuda::Stream stream) {
        return cuda::GeluTanh(cuda::ElementOf(in), cuda::ExtentOf(in), cuda::RowsOf(in),
                              cuda::MutableRowsOf(out), stream);
      });
    }
  }
  reference::GeluTanh(x, y);
}

namespace reference {

void GeluTanh(const at::Tensor& x, at::Tensor& y) { at::gelu_out(y, x, "tanh"); }

}  // namespace reference
}  // namespace tessera
