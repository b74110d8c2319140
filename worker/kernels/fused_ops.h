#pragma once

#include <ATen/core/Tensor.h>

namespace tessera {

// The element-wise work between the transformer's GEMMs, each as one pass over memory. Every
// function has a twin of the same signature in namespace `reference`, made of ATen calls, which
// defines the result (and its rounding in bfloat16 and float16). A function runs its fused kernel
// where there is one for device and dtype, else its twin; on CUDA only if kernel_choice.h says so.
// Thread-safe. All tensors of a call live on one device and share one dtype unless said otherwise.

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

// y = gelu(x), tanh approximation. x, y [rows, D] or [B, rows, D]; rows may be apart, as in a part
// of a wider buffer. y may be x.
void GeluTanh(const at::Tensor& x, at::Tensor& y);

// latents += velocity * change. The factor and the product are rounded to the velocity's dtype, the
// sum is taken in float32 and rounded to the latents' dtype. Tensors of one shape.
void EulerUpdate(at::Tensor& latents, const at::Tensor& velocity, float change);

// [B, 3, height, width] with values around [-1, 1] -> uint8 [B, height, width, 3], contiguous, on
// the same device: clamp(x / 2 + 0.5, 0, 1) in the picture's dtype, then float32, x 255, rounded
// half to even. A NaN gives an undefined byte.
at::Tensor PictureToRgb8(const at::Tensor& picture);

namespace reference {
at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps);
void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out);
void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y);
void GeluTanh(const at::Tensor& x, at::Tensor& y);
void EulerUpdate(at::Tensor& latents, const at::Tensor& velocity, float change);
at::Tensor PictureToRgb8(const at::Tensor& picture);
}  // namespace reference

}  // namespace tessera
