#include "worker/tensor_io/image.h"

#include <ATen/ATen.h>

namespace tessera {

at::Tensor ToRgb8(const at::Tensor& image) {
  const at::Tensor unit = image.mul(0.5).add_(0.5).clamp_(0, 1).to(at::kFloat);
  return unit.mul(255).round_().to(at::kByte).permute({0, 2, 3, 1}).contiguous().cpu();
}

}  // namespace tessera
