#pragma once

#include <ATen/core/Tensor.h>

#include "worker/kernels/kernel_choice.h"

// kernel_choice.h says what holds for every op.
namespace tessera {

// x += gate * y. x, y [B, rows, D]; gate [B or 1, 1, D]. x is dense.
void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y, KernelChoice kernels);

namespace reference {
void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y);
}  // namespace reference

namespace cpu {
// Needs float32 tensors with dense rows.
void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y);
}  // namespace cpu

}  // namespace tessera
