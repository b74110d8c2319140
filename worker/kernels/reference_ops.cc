#include <ATen/ATen.h>

#include "worker/kernels/fused_ops.h"

namespace tessera::reference {
namespace {

// x [B, rows, heads, head_dim] -> the same in x's dtype; the rotation itself in float32.
at::Tensor Rope(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const at::Tensor pairs =
      x.to(at::kFloat).unflatten(-1, {-1, 2});  // [B, rows, heads, head_dim / 2, 2]
  const at::Tensor a = pairs.select(-1, 0);
  const at::Tensor b = pairs.select(-1, 1);
  const at::Tensor c = cos.unsqueeze(1);  // [rows, 1, head_dim / 2]
  const at::Tensor s = sin.unsqueeze(1);
  return at::stack({a * c - b * s, b * c + a * s}, -1).flatten(-2).to(x.scalar_type());
}

}  // namespace

at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps) {
  const at::Tensor norm = at::layer_norm(x, {x.size(-1)}, {}, {}, eps);
  return norm * (1 + scale) + shift;
}

void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out) {
  const int64_t head_dim = raw.q.size(-1);
  out.q.copy_(Rope(at::rms_norm(raw.q, {head_dim}, q_weight, eps), cos, sin));
  out.k.copy_(Rope(at::rms_norm(raw.k, {head_dim}, k_weight, eps), cos, sin));
  out.v.copy_(raw.v);
}

void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) { x.add_(gate * y); }

void GeluTanh(const at::Tensor& x, at::Tensor& y) { at::gelu_out(y, x, "tanh"); }

void EulerUpdate(at::Tensor& latents, const at::Tensor& velocity, float change) {
  // A tensor of the working dtype on the CPU: rounds, and needs no copy to another device.
  const at::Tensor factor = at::scalar_tensor(change, velocity.scalar_type());
  latents.copy_(latents.to(at::kFloat).add(velocity * factor));
}

at::Tensor PictureToRgb8(const at::Tensor& picture) {
  const at::Tensor unit = picture.mul(0.5).add_(0.5).clamp_(0, 1).to(at::kFloat);
  return unit.mul(255).round_().to(at::kByte).permute({0, 2, 3, 1}).contiguous();
}

}  // namespace tessera::reference
