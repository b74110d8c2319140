#include "worker/kernels/linear/fp8_linear.h"

#include <ATen/ATen.h>

#include <vector>

#include "worker/kernels/linear/cublaslt.h"

namespace tessera {
namespace {

constexpr int64_t kMultiple = 16;  // of the device GEMM's sizes

bool FitsTensorCores(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias) {
  return x.values.is_cuda() && bias.scalar_type() == at::kBFloat16 && x.scales.numel() > 0 &&
         weight.values.size(0) % kMultiple == 0 && weight.values.size(1) % kMultiple == 0;
}

}  // namespace

at::Tensor Fp8Linear(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias,
                     KernelChoice kernels) {
  if (!FitsTensorCores(x, weight, bias)) return reference::Fp8Linear(x, weight, bias);
  std::vector<int64_t> sizes = x.values.sizes().vec();
  sizes.back() = weight.values.size(0);
  const at::Tensor rows = x.values.flatten(0, -2);
  if (GoesToCublasLt(rows, kernels)) {
    const at::Tensor y = at::empty({rows.size(0), sizes.back()}, bias.options());
    if (LinearByCublasLt({.x = rows,
                          .weight = weight.values,
                          .bias = bias,
                          .y = y,
                          .x_scales = x.scales,
                          .weight_scales = weight.scales,
                          .accumulation = kernels.fp8_accumulation})) {
      return y.view(sizes);
    }
  }
  return at::_scaled_mm(rows, weight.values.t(), x.scales.flatten(0, -2), weight.scales.t(), bias,
                        /*scale_result=*/{}, at::kBFloat16,
                        kernels.fp8_accumulation == Fp8Accumulation::kFast)
      .view(sizes);
}

namespace reference {

at::Tensor Fp8Linear(const Fp8Rows& x, const Fp8Rows& weight, const at::Tensor& bias) {
  at::Tensor y = at::linear(x.values.to(at::kFloat), weight.values.to(at::kFloat));
  return y.mul_(x.scales).mul_(weight.scales.t()).add_(bias).to(bias.scalar_type());
}

}  // namespace reference
}  // namespace tessera
