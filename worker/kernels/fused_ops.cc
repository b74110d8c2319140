#include "worker/kernels/fused_ops.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <initializer_list>

#include "worker/kernels/cpu_ops.h"
#include "worker/kernels/cuda_ops.h"

namespace tessera {
namespace {

using Tensors = std::initializer_list<const at::Tensor*>;

// Whether the elements of each row lie side by side: of the last dimension, or of the last two of
// [B, rows, heads, head_dim].
bool RowsAreDense(Tensors tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor* t) {
    const bool dense = t->size(-1) == 1 || t->stride(-1) == 1;
    return dense && (t->dim() < 4 || t->size(2) == 1 || t->stride(2) == t->size(3));
  });
}

bool AreContiguous(Tensors tensors) {
  return std::all_of(tensors.begin(), tensors.end(),
                     [](const at::Tensor* t) { return t->is_contiguous(); });
}

}  // namespace

at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps) {
  const Tensors all = {&x, &shift, &scale};
  if (RowsAreDense(all)) {
    if (cpu_ops::Runs(all)) return cpu_ops::LayerNormModulate(x, shift, scale, eps);
    if (cuda_ops::Runs(all)) return cuda_ops::LayerNormModulate(x, shift, scale, eps);
  }
  return reference::LayerNormModulate(x, shift, scale, eps);
}

void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out) {
  const Tensors all = {&raw.q, &raw.k, &raw.v, &out.q, &out.k, &out.v, &q_weight, &k_weight};
  if (RowsAreDense(all) && AreContiguous({&cos, &sin})) {
    if (cpu_ops::Runs(all)) {
      return cpu_ops::NormRopeQkv(raw, q_weight, k_weight, cos, sin, eps, out);
    }
    if (cuda_ops::Runs(all)) {
      return cuda_ops::NormRopeQkv(raw, q_weight, k_weight, cos, sin, eps, out);
    }
  }
  reference::NormRopeQkv(raw, q_weight, k_weight, cos, sin, eps, out);
}

void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) {
  const Tensors all = {&x, &gate, &y};
  if (RowsAreDense(all)) {
    if (cpu_ops::Runs(all)) return cpu_ops::GatedAdd(x, gate, y);
    if (cuda_ops::Runs(all)) return cuda_ops::GatedAdd(x, gate, y);
  }
  reference::GatedAdd(x, gate, y);
}

void GeluTanh(const at::Tensor& x, at::Tensor& y) {
  if (RowsAreDense({&x, &y}) && cuda_ops::Runs({&x, &y})) return cuda_ops::GeluTanh(x, y);
  reference::GeluTanh(x, y);
}

void EulerUpdate(at::Tensor& latents, const at::Tensor& velocity, float change) {
  const Tensors all = {&latents, &velocity};
  if (AreContiguous(all) && cuda_ops::Runs(all)) {
    return cuda_ops::EulerUpdate(latents, velocity, change);
  }
  reference::EulerUpdate(latents, velocity, change);
}

at::Tensor PictureToRgb8(const at::Tensor& picture) {
  return cuda_ops::Runs({&picture}) ? cuda_ops::PictureToRgb8(picture)
                                    : reference::PictureToRgb8(picture);
}

}  // namespace tessera
