#include "worker/kernels/layer_norm_modulate.h"

#include <ATen/ATen.h>

#include "worker/kernels/cuda/enqueue.h"
#include "worker/kernels/dispatch.h"

namespace tessera {

at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps, KernelChoice kernels) {
  const Tensors all = {&x, &shift, &scale};
  const bool dense = RowsAreDense(all);
  if (dense && RunsOnCpu(all)) return cpu::LayerNormModulate(x, shift, scale, eps);
  if constexpr (kCudaKernelsBuilt) {
    if (dense && RunsOnCuda(all, kernels)) {
      at::Tensor y = at::empty(x.sizes(), x.options());
      cuda::Enqueue(x, [&](cuda::Stream stream) {
        return cuda::LayerNormModulate(cuda::ElementOf(x), cuda::ExtentOf(x), cuda::RowsOf(x),
                                       cuda::VectorsOf(shift), cuda::VectorsOf(scale),
                                       static_cast<float>(eps), cuda::MutableRowsOf(y), stream);
      });
      return y;
    }
  }
  return reference::LayerNormModulate(x, shift, scale, eps);
}

Fp8Rows LayerNormModulateFp8(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps, KernelChoice kernels) {
  const Tensors all = {&x, &shift, &scale};
  if constexpr (kCudaKernelsBuilt) {
    if (RowsAreDense(all) && RunsOnCuda(all, kernels)) {
      Fp8Rows y = EmptyFp8Rows(x, x.size(2));
      cuda::Enqueue(x, [&](cuda::Stream stream) {
        return cuda::LayerNormModulateFp8(cuda::ElementOf(x), cuda::ExtentOf(x), cuda::RowsOf(x),
                                          cuda::VectorsOf(shift), cuda::VectorsOf(scale),
                                          static_cast<float>(eps), cuda::MatrixOf(y), stream);
      });
      return y;
    }
  }
  return QuantizeRows(LayerNormModulate(x, shift, scale, eps, kernels), kernels);
}

namespace reference {

at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps) {
  const at::Tensor norm = at::layer_norm(x, {x.size(-1)}, {}, {}, eps);
  return norm * (1 + scale) + shift;
}

Fp8Rows LayerNormModulateFp8(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps) {
  return QuantizeRows(LayerNormModulate(x, shift, scale, eps));
}

}  // namespace reference
}  // namespace tessera
