#pragma once

#include <ATen/core/Tensor.h>

namespace tessera {

// The element-wise work between the transformer's GEMMs, each as one pass over memory. Every
// function has a twin of the same signature in namespace `reference`, made of ATen calls, which
// defines the result (and its rounding in bfloat16 and float16). A function runs its fused kernel
// where there is one for device and dtype, else its twin. Thread-safe. All tensors of a call live
// on one device and share one dtype unless said otherwise.

// layer_norm(x) * (1 + scale) + shift, without weights. x [B, rows, D]; shift, scale [B or 1, 1, D]
// -> [B, rows, D].
at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps);

struct QkvRows {
  at::Tensor q, k, v;  // each [B, rows, heads, head_dim]; the last two dimensions are dense
};

// out.q = rope(rms_norm(raw.q) * q_weight), out.k likewise, out.v = raw.v. cos and sin: float32
// [rows, head_dim / 2]; neighbouring features (2j, 2j+1) form one complex number. `out` may point
// into a KV cache.
void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out);

// x += gate * y. x, y [B, rows, D]; gate [B or 1, 1, D]. x is dense.
void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y);

namespace reference {
at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps);
void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out);
void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y);
}  // namespace reference

}  // namespace tessera
