#pragma once

#include <ATen/core/Tensor.h>

namespace tessera {

// Classifier-free guidance with a negative prompt: negative + scale * (positive - negative), each
// operation rounded to the tensors' dtype.
at::Tensor CombineTrueCfg(const at::Tensor& negative, const at::Tensor& positive, double scale);

}  // namespace tessera
