#include "worker/kernels/gated_add.h"

#include <ATen/ATen.h>

#include "worker/kernels/cuda/enqueue.h"
#include "worker/kernels/dispatch.h"

namespace tessera {

void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y, KernelChoice kernels) {
  const Tensors all = {&x, &gate, &y};
  const bool dense = RowsAreDense(all);
  if (dense && RunsOnCpu(all)) return cpu::GatedAdd(x, gate, y);
  if constexpr (kCudaKernelsBuilt) {
    if (dense && RunsOnCuda(all, kernels)) {
      return cuda::Enqueue(x, [&](cuda::Stream stream) {
        return cuda::GatedAdd(cuda::ElementOf(x), cuda::ExtentOf(x), cuda::MutableRowsOf(x),
                              cuda::VectorsOf(gate), cuda::RowsOf(y), stream);
      });
    }
  }
  reference::GatedAdd(x, gate, y);
}

namespace reference {

void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) { x.add_(gate * y); }

}  // namespace reference
}  // namespace tessera
