#pragma once

#include <ATen/core/Tensor.h>

#include "worker/kernels/fp8_rows.h"
#include "worker/kernels/kernel_choice.h"

// kernel_choice.h says what holds for every op.
namespace tessera {

// y = x W^T + b, weight [out, in] with a scale for each output channel, bias [out] -> [..., out] in
// the bias's dtype. Products of FP8 values are exact in float32, which sums them; scales and bias
// come last. On CUDA in bfloat16, with sizes in multiples of 16, FP8 tensor cores (of compute
// capability 9.0; older ones are refused by ATen) compute it, by at::_scaled_mm (cuBLASLt or
// CUTLASS) or linear/cublaslt.h, and sum as `kernels` says; neither has run. Elsewhere the same by
// a float32 GEMM: exact, and no faster than an unquantised layer.
at::Tensor Fp8Linear(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias,
                     KernelChoice kernels);

namespace reference {
at::Tensor Fp8Linear(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias);
}  // namespace reference

}  // namespace tessera
