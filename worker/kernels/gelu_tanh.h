#pragma once

#include <ATen/core/Tensor.h>

#include "worker/kernels/kernel_choice.h"

// kernel_choice.h says what holds for every op.
namespace tessera {

// y = gelu(x), tanh approximation. x, y [rows, D] or [B, rows, D]; rows may be apart, as in a part
// of a wider buffer. y may be x.
void GeluTanh(const at::Tensor& x, at::Tensor& y, KernelChoice kernels);

namespace reference {
void GeluTanh(const at::Tensor& x, at::Tensor& y);
}  // namespace reference

}  // namespace tessera
