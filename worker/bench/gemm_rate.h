#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "worker/bench/flop_count.h"
#include "worker/kernels/kernel_choice.h"

namespace tessera {

// Milliseconds that the GEMMs of a forward pass take by themselves, by the functions that the model
// calls, on warm random tensors of their shapes. The calling thread's thread count applies.
double MeasureGemmsMs(std::span<const GemmShape> gemms, const at::TensorOptions& options,
                      KernelChoice kernels);

// TFLOP/s of one large square GEMM, of side 8192 (2048 on the CPU): the device's practical rate for
// the tensors' type.
double MeasureGemmTflops(const at::TensorOptions& options, KernelChoice kernels);

}  // namespace tessera
