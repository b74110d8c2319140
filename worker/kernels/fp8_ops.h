#pragma once

#include <ATen/core/Tensor.h>

namespace tessera {

// Rows in FP8 (E4M3, OCP; largest value 448): an element is its value times its row's scale.
struct Fp8Rows {
  at::Tensor values;  // float8_e4m3fn [..., width], contiguous
  at::Tensor scales;  // float32 [..., 1], contiguous
};

// Every function here that has a twin of the same signature in namespace `reference` relates to it
// as those in fused_ops.h do. Thread-safe, all of them.

// Each row by its own scale, so that a row's result does not depend on which rows are beside it:
// scale = largest magnitude / 448, value = x / scale rounded half to even. A row of zeros has the
// smallest normal float32 as scale; a row that is not finite gives NaN, with either sign. x [...,
// width] of float32, bfloat16 or float16.
Fp8Rows QuantizeRows(const at::Tensor& x);

// QuantizeRows(LayerNormModulate(...)) without the row in between in memory.
Fp8Rows LayerNormModulateFp8(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps);

// Rows [head | gelu_tanh(tail)], of one scale over both: head [B, rows, H] or undefined, tail [B,
// rows, D] -> [B, rows, H + D]. The GELU is rounded to the tail's dtype before it is quantised.
Fp8Rows QuantizeGeluRows(const at::Tensor& head, const at::Tensor& tail);

// The rows again, float32.
at::Tensor Dequantized(const Fp8Rows& rows);

// The same, rounded to the dtype of `out`, of the rows' shape.
void DequantizeInto(const Fp8Rows& rows, at::Tensor& out);

// y = x W^T + b, weight [out, in] with a scale for each output channel, bias [out] -> [..., out]
// in the bias's dtype. Products of FP8 values are exact in float32, which sums them; scales and
// bias come last. On CUDA in bfloat16, with sizes in multiples of 16, FP8 tensor cores (of compute
// capability 9.0; older ones are refused by ATen) compute it,
// by at::_scaled_mm (cuBLASLt or CUTLASS) or cublaslt.h, and sum as kernel_choice.h says; neither
// has run. Elsewhere the same by a float32 GEMM: exact, and no faster than an unquantised layer.
at::Tensor Fp8Linear(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias);

namespace reference {
Fp8Rows QuantizeRows(const at::Tensor& x);
Fp8Rows LayerNormModulateFp8(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps);
Fp8Rows QuantizeGeluRows(const at::Tensor& head, const at::Tensor& tail);
void DequantizeInto(const Fp8Rows& rows, at::Tensor& out);
at::Tensor Fp8Linear(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias);
}  // namespace reference

}  // namespace tessera
