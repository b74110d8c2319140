#pragma once

#include <initializer_list>

#include "worker/kernels/fp8_ops.h"
#include "worker/kernels/fused_ops.h"

namespace tessera::cuda_ops {

// The functions of fused_ops.h and fp8_ops.h by our CUDA kernels, on the current stream. There are
// two sources: cuda_ops.cc, and no_cuda_ops.cc for builds without CUDA, where Runs is always false.

// Whether SetCudaKernels chose the kernels, and all tensors are on one CUDA device and of one dtype
// of float32, bfloat16 and float16. A call below needs it, and rows without gaps; EulerUpdate needs
// contiguous tensors, PictureToRgb8 takes any strides.
bool Runs(std::initializer_list<const at::Tensor*> tensors);

at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps);
void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out);
void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y);
void GeluTanh(const at::Tensor& x, at::Tensor& y);
void EulerUpdate(at::Tensor& latents, const at::Tensor& velocity, float change);
at::Tensor PictureToRgb8(const at::Tensor& picture);

Fp8Rows QuantizeRows(const at::Tensor& x);
Fp8Rows LayerNormModulateFp8(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps);
Fp8Rows QuantizeGeluRows(const at::Tensor& head, const at::Tensor& tail);
void DequantizeInto(const Fp8Rows& rows, at::Tensor& out);  // without gaps

}  // namespace tessera::cuda_ops
