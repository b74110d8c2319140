#pragma once

#include <ATen/core/Tensor.h>

#include "worker/kernels/kernel_choice.h"

namespace tessera {

// The VAE's pictures, [batch, 3, height, width] of a float type with values around [-1, 1], as
// bytes on the CPU: uint8 [batch, height, width, 3], contiguous. As diffusers does it: clamp(x / 2
// + 0.5, 0, 1) in the VAE's own type, then float32, x 255, rounded half to even. A NaN gives an
// undefined byte: look for it before.
at::Tensor ToRgb8(const at::Tensor& image, KernelChoice kernels = {});

}  // namespace tessera
