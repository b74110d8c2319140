#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "worker/bench/flop_count.h"

namespace tessera {

// Milliseconds that the GEMMs of a forward pass take by themselves, on warm random tensors of their
// shapes: the library's own limit for the linear layers, measured in the same process. The calling
// thread's thread count applies.
double MeasureGemmsMs(std::span<const GemmShape> gemms, const at::TensorOptions& options);

}  // namespace tessera
