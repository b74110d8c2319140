#pragma once

#include <initializer_list>

#include "worker/kernels/fused_ops.h"

namespace tessera::cpu_ops {

// The functions of fused_ops.h by our float32 kernels for the CPU, for those that have one.

// Whether all tensors are float32 on the CPU. A call below needs it, and rows without gaps.
bool Runs(std::initializer_list<const at::Tensor*> tensors);

at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps);
void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out);
void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y);

}  // namespace tessera::cpu_ops
