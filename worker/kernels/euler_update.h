#pragma once

#include <ATen/core/Tensor.h>

#include "worker/kernels/kernel_choice.h"

// kernel_choice.h says what holds for every op.
namespace tessera {

// latents += velocity * change. The factor and the product are rounded to the velocity's dtype, the
// sum is taken in float32 and rounded to the latents' dtype. Tensors of one shape.
void EulerUpdate(at::Tensor& latents, const at::Tensor& velocity, float change,
                 KernelChoice kernels);

namespace reference {
void EulerUpdate(at::Tensor& latents, const at::Tensor& velocity, float change);
}  // namespace reference

}  // namespace tessera
