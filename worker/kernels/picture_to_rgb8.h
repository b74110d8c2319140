#pragma once

#include <ATen/core/Tensor.h>

#include "worker/kernels/kernel_choice.h"

// kernel_choice.h says what holds for every op.
namespace tessera {

// [B, 3, height, width] with values around [-1, 1] -> uint8 [B, height, width, 3], contiguous, on
// the same device: clamp(x / 2 + 0.5, 0, 1) in the picture's dtype, then float32, x 255, rounded
// half to even. A NaN gives an undefined byte.
at::Tensor PictureToRgb8(const at::Tensor& picture, KernelChoice kernels);

namespace reference {
at::Tensor PictureToRgb8(const at::Tensor& picture);
}  // namespace reference

}  // namespace tessera
