#pragma once

#include <ATen/core/Tensor.h>

#include "worker/kernels/kernel_choice.h"

// kernel_choice.h says what holds for every op.
namespace tessera {

struct QkvRows {
  at::Tensor q, k, v;  // each [B, rows, heads, head_dim]; the last two dimensions are dense
};

// out.q = rope(rms_norm(raw.q) * q_weight), out.k likewise, out.v = raw.v. cos and sin: float32
// [rows, head_dim / 2]; neighbouring features (2j, 2j+1) form one complex number. `out` may point
// into a KV cache.
void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out,
                 KernelChoice kernels);

namespace reference {
void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out);
}  // namespace reference

namespace cpu {
// Needs float32 tensors with dense rows; cos and sin contiguous.
void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out);
}  // namespace cpu

}  // namespace tessera
