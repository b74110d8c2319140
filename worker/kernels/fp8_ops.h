#pragma once

#include <ATen/core/Tensor.h>

namespace tessera {

// A matrix in FP8 (E4M3, OCP; largest value 448): element (r, c) is values[r][c] * scales[r].
struct Fp8Rows {
  at::Tensor values;  // float8_e4m3fn [rows, width], contiguous
  at::Tensor scales;  // float32 [rows, 1]
};

// Each row by its own scale, so that a row's result does not depend on which rows are beside it:
// scale = largest magnitude / 448, value = x / scale rounded half to even. A row of zeros has the
// smallest normal float32 as scale; a row that is not finite gives NaN. x [..., width] ->
// [rows, width], all rows in order. Thread-safe, as all functions here.
Fp8Rows QuantizeRows(const at::Tensor& x);

// The matrix again, float32.
at::Tensor Dequantized(const Fp8Rows& rows);

// y = x W^T + b, weight [out, in] with a scale for each output channel, bias [out] -> [rows, out]
// in the bias's dtype. Products of FP8 values are exact in float32, which sums them; scales and
// bias come last. On CUDA in bfloat16, with sizes in multiples of 16, it is at::_scaled_mm
// (cuBLASLt or CUTLASS, FP8 tensor cores); that path has never run. Elsewhere the same by a float32
// GEMM: exact, and no faster than an unquantised layer.
at::Tensor Fp8Linear(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias);

namespace reference {
at::Tensor Fp8Linear(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias);
}  // namespace reference

}  // namespace tessera
