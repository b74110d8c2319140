#pragma once

#include <ATen/core/Tensor.h>

#include "worker/kernels/kernel_choice.h"

// kernel_choice.h says what holds for every op.
namespace tessera {

// Rows in FP8 (E4M3, OCP; largest value 448): an element is its value times its row's scale.
struct Fp8Rows {
  at::Tensor values;  // float8_e4m3fn [..., width], contiguous
  at::Tensor scales;  // float32 [..., 1], contiguous
};

// Room for rows [..., width] on the device of x [..., any width].
Fp8Rows EmptyFp8Rows(const at::Tensor& x, int64_t width);

// Each row by its own scale, so that a row's result does not depend on which rows are beside it:
// scale = largest magnitude / 448, value = x / scale rounded half to even. A row of zeros has the
// smallest normal float32 as scale; a row that is not finite gives NaN, with either sign. x [...,
// width] of float32, bfloat16 or float16.
Fp8Rows QuantizeRows(const at::Tensor& x, KernelChoice kernels);

// Rows [head | gelu_tanh(tail)], of one scale over both: head [B, rows, H] or undefined, tail [B,
// rows, D] -> [B, rows, H + D]. The GELU is rounded to the tail's dtype before it is quantised.
Fp8Rows QuantizeGeluRows(const at::Tensor& head, const at::Tensor& tail, KernelChoice kernels);

// The rows again, float32, by ATen.
at::Tensor Dequantized(const Fp8Rows& rows);

// The same, rounded to the dtype of `out`, of the rows' shape.
void DequantizeInto(const Fp8Rows& rows, at::Tensor& out, KernelChoice kernels);

namespace reference {
Fp8Rows QuantizeRows(const at::Tensor& x);
Fp8Rows QuantizeGeluRows(const at::Tensor& head, const at::Tensor& tail);
void DequantizeInto(const Fp8Rows& rows, at::Tensor& out);
}  // namespace reference

}  // namespace tessera
