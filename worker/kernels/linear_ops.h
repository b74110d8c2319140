#pragma once

#include <ATen/core/Tensor.h>

namespace tessera {

// The transformer's linear layers, each with its ATen twin of the same signature in `reference`. On
// the CPU in float32 oneDNN's inner product runs in place of at::linear's BLAS (a tenth to a half
// faster where it has wider kernels for the processor), with the activation in its epilogue; on
// CUDA cuBLASLt does the same where kernel_choice.h says so. Thread-safe. x [..., in], weight [out,
// in], bias [out] -> [..., out].
at::Tensor LinearOp(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// gelu_tanh(x W^T + b).
at::Tensor LinearGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// The same into `out` [rows, out], whose rows may be apart, as in a part of a wider buffer. x
// [rows, in].
void LinearGeluInto(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    at::Tensor& out);

namespace reference {
at::Tensor LinearOp(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
at::Tensor LinearGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
void LinearGeluInto(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    at::Tensor& out);
}  // namespace reference

}  // namespace tessera
