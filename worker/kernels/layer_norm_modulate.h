#pragma once

#include <ATen/core/Tensor.h>

#include "worker/kernels/fp8_rows.h"
#include "worker/kernels/kernel_choice.h"

// kernel_choice.h says what holds for every op.
namespace tessera {

// layer_norm(x) * (1 + scale) + shift, without weights. x [B, rows, D]; shift, scale [B or 1, 1, D]
// -> [B, rows, D].
at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps, KernelChoice kernels);

// QuantizeRows(LayerNormModulate(...)); a CUDA kernel keeps the row in between out of memory.
Fp8Rows LayerNormModulateFp8(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps, KernelChoice kernels);

namespace reference {
at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps);
Fp8Rows LayerNormModulateFp8(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps);
}  // namespace reference

namespace cpu {
// Needs float32 tensors with dense rows.
at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps);
}  // namespace cpu

}  // namespace tessera
