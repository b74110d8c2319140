#include "worker/kernels/fp8_ops.h"

#include <ATen/ATen.h>

#include <limits>

namespace tessera {
namespace {

constexpr double kLargest = 448;   // of E4M3
constexpr int64_t kMultiple = 16;  // of the device GEMM's sizes
// Sums of partial products in float32 outside of the tensor cores: exact sums until the cheaper
// ones have been measured.
constexpr bool kFastAccumulation = false;

bool FitsScaledMm(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias) {
  return x.values.is_cuda() && bias.scalar_type() == at::kBFloat16 && x.values.size(0) > 0 &&
         weight.values.size(0) % kMultiple == 0 && weight.values.size(1) % kMultiple == 0;
}

}  // namespace

Fp8Rows QuantizeRows(const at::Tensor& x) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)}).to(at::kFloat);
  const at::Tensor scales = rows.abs()
                                .amax(1, /*keepdim=*/true)
                                .div_(kLargest)
                                .clamp_min_(std::numeric_limits<float>::min());
  // A conversion does not saturate, and x / scale may round to a little more than the largest.
  return {rows.div(scales).clamp_(-kLargest, kLargest).to(at::kFloat8_e4m3fn), scales};
}

at::Tensor Dequantized(const Fp8Rows& rows) { return rows.values.to(at::kFloat).mul_(rows.scales); }

at::Tensor Fp8Linear(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias) {
  if (!FitsScaledMm(x, weight, bias)) return reference::Fp8Linear(x, weight, bias);
  return at::_scaled_mm(x.values, weight.values.t(), x.scales, weight.scales.t(), bias,
                        /*scale_result=*/{}, at::kBFloat16, kFastAccumulation);
}

namespace reference {

at::Tensor Fp8Linear(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias) {
  at::Tensor y = at::linear(x.values.to(at::kFloat), weight.values.to(at::kFloat));
  return y.mul_(x.scales).mul_(weight.scales.t()).add_(bias).to(bias.scalar_type());
}

}  // namespace reference
}  // namespace tessera
