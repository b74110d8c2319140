#include "worker/kernels/fp8_ops.h"

#include <ATen/ATen.h>

#include <limits>

#include "worker/kernels/cublaslt.h"
#include "worker/kernels/cuda_ops.h"
#include "worker/kernels/fused_ops.h"

namespace tessera {
namespace {

constexpr double kLargest = 448;   // of E4M3
constexpr int64_t kMultiple = 16;  // of the device GEMM's sizes

bool FitsTensorCores(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias) {
  return x.values.is_cuda() && bias.scalar_type() == at::kBFloat16 && x.scales.numel() > 0 &&
         weight.values.size(0) % kMultiple == 0 && weight.values.size(1) % kMultiple == 0;
}

bool HasDenseRows(const at::Tensor& t) { return t.size(-1) == 1 || t.stride(-1) == 1; }

}  // namespace

Fp8Rows QuantizeRows(const at::Tensor& x) {
  return HasDenseRows(x) && cuda_ops::Runs({&x}) ? cuda_ops::QuantizeRows(x)
                                                 : reference::QuantizeRows(x);
}

Fp8Rows LayerNormModulateFp8(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps) {
  if (HasDenseRows(x) && HasDenseRows(shift) && HasDenseRows(scale) &&
      cuda_ops::Runs({&x, &shift, &scale})) {
    return cuda_ops::LayerNormModulateFp8(x, shift, scale, eps);
  }
  return QuantizeRows(LayerNormModulate(x, shift, scale, eps));
}

Fp8Rows QuantizeGeluRows(const at::Tensor& head, const at::Tensor& tail) {
  const at::Tensor& first = head.defined() ? head : tail;
  if (HasDenseRows(first) && HasDenseRows(tail) && cuda_ops::Runs({&first, &tail})) {
    return cuda_ops::QuantizeGeluRows(head, tail);
  }
  return reference::QuantizeGeluRows(head, tail);
}

at::Tensor Dequantized(const Fp8Rows& rows) { return rows.values.to(at::kFloat).mul_(rows.scales); }

void DequantizeInto(const Fp8Rows& rows, at::Tensor& out) {
  if (out.is_contiguous() && cuda_ops::Runs({&out})) return cuda_ops::DequantizeInto(rows, out);
  reference::DequantizeInto(rows, out);
}

at::Tensor Fp8Linear(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias) {
  if (!FitsTensorCores(x, weight, bias)) return reference::Fp8Linear(x, weight, bias);
  std::vector<int64_t> sizes = x.values.sizes().vec();
  sizes.back() = weight.values.size(0);
  const at::Tensor rows = x.values.flatten(0, -2);
  if (GoesToCublasLt(rows)) {
    const at::Tensor y = at::empty({rows.size(0), sizes.back()}, bias.options());
    if (LinearByCublasLt({.x = rows,
                          .weight = weight.values,
                          .bias = bias,
                          .y = y,
                          .x_scales = x.scales,
                          .weight_scales = weight.scales,
                          .accumulation = ChosenFp8Accumulation()})) {
      return y.view(sizes);
    }
  }
  return at::_scaled_mm(rows, weight.values.t(), x.scales.flatten(0, -2), weight.scales.t(), bias,
                        /*scale_result=*/{}, at::kBFloat16,
                        ChosenFp8Accumulation() == Fp8Accumulation::kFast)
      .view(sizes);
}

namespace reference {

Fp8Rows QuantizeRows(const at::Tensor& x) {
  const at::Tensor rows =
      x.to(at::kFloat, /*non_blocking=*/false, /*copy=*/false, at::MemoryFormat::Contiguous);
  // A tensor, since ATen multiplies by the inverse of a number on CUDA.
  const at::Tensor largest = at::full({1}, kLargest, rows.options());
  const at::Tensor scales = rows.abs()
                                .amax(-1, /*keepdim=*/true)
                                .div_(largest)
                                .clamp_min_(std::numeric_limits<float>::min());
  // A conversion does not saturate, and x / scale may round to a little more than the largest.
  return {rows.div(scales).clamp_(-kLargest, kLargest).to(at::kFloat8_e4m3fn), scales};
}

Fp8Rows LayerNormModulateFp8(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps) {
  return QuantizeRows(LayerNormModulate(x, shift, scale, eps));
}

Fp8Rows QuantizeGeluRows(const at::Tensor& head, const at::Tensor& tail) {
  const int64_t before = head.defined() ? head.size(-1) : 0;
  std::vector<int64_t> sizes = tail.sizes().vec();
  sizes.back() += before;
  const at::Tensor joined = at::empty(sizes, tail.options());
  if (head.defined()) joined.narrow(-1, 0, before).copy_(head);
  at::Tensor after = joined.narrow(-1, before, tail.size(-1));
  GeluTanh(tail, after);
  return QuantizeRows(joined);
}

void DequantizeInto(const Fp8Rows& rows, at::Tensor& out) { out.copy_(Dequantized(rows)); }

at::Tensor Fp8Linear(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias) {
  at::Tensor y = at::linear(x.values.to(at::kFloat), weight.values.to(at::kFloat));
  return y.mul_(x.scales).mul_(weight.scales.t()).add_(bias).to(bias.scalar_type());
}

}  // namespace reference
}  // namespace tessera
