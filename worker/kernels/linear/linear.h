#pragma once

#include <ATen/core/Tensor.h>

#include "worker/kernels/kernel_choice.h"

// kernel_choice.h says what holds for every op.
namespace tessera {

// The transformer's linear layers. On the CPU in float32 oneDNN's inner product runs in place of
// at::linear's BLAS (a tenth to a half faster where it has wider kernels for the processor), with
// the activation in its epilogue; on CUDA cuBLASLt does the same where `kernels` says so. x [...,
// in], weight [out, in], bias [out] -> [..., out].
at::Tensor LinearOp(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    KernelChoice kernels);

// gelu_tanh(x W^T + b).
at::Tensor LinearGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      KernelChoice kernels);

// The same into `out` [rows, out], whose rows may be apart, as in a part of a wider buffer. x
// [rows, in].
void LinearGeluInto(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    at::Tensor& out, KernelChoice kernels);

namespace reference {
at::Tensor LinearOp(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
at::Tensor LinearGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
void LinearGeluInto(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    at::Tensor& out);
}  // namespace reference

}  // namespace tessera
