#include "worker/kernels/linear/linear.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string_view>
#include <vector>

#include "worker/kernels/gelu_tanh.h"
#include "worker/kernels/linear/cublaslt.h"

namespace tessera {
namespace {

using Activations = c10::List<std::optional<at::Scalar>>;
using PointwiseLinear = at::Tensor(const at::Tensor&, const at::Tensor&,
                                   const std::optional<at::Tensor>&, std::string_view, Activations,
                                   std::optional<std::string_view>);

// oneDNN's inner product with an activation behind it; ATen has no C++ function for it, only this
// operator.
at::Tensor OneDnnLinear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                        std::string_view activation, std::optional<std::string_view> variant) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                             .typed<PointwiseLinear>();
  return op.call(x, weight, bias, activation, Activations(), variant);
}

// Strided weights would fall to oneDNN's reference loops.
bool FitsOneDnn(const at::Tensor& x, const at::Tensor& weight) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.numel() > 0 && x.is_contiguous() &&
         weight.is_contiguous() && at::globalContext().userEnabledMkldnn();
}

// The layer by cuBLASLt, or an undefined tensor where it goes elsewhere.
at::Tensor CublasLtLinear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                          Activation activation, KernelChoice kernels) {
  if (!GoesToCublasLt(x, kernels)) return {};
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = weight.size(0);
  const at::Tensor y = at::empty(sizes, x.options());
  const bool ran = LinearByCublasLt({.x = x.reshape({-1, x.size(-1)}),
                                     .weight = weight,
                                     .bias = bias,
                                     .y = y.view({-1, sizes.back()}),
                                     .activation = activation});
  return ran ? y : at::Tensor();
}

}  // namespace

at::Tensor LinearOp(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    KernelChoice kernels) {
  if (FitsOneDnn(x, weight)) return OneDnnLinear(x, weight, bias, "none", std::nullopt);
  const at::Tensor y = CublasLtLinear(x, weight, bias, Activation::kNone, kernels);
  return y.defined() ? y : reference::LinearOp(x, weight, bias);
}

at::Tensor LinearGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      KernelChoice kernels) {
  if (FitsOneDnn(x, weight)) return OneDnnLinear(x, weight, bias, "gelu", "tanh");
  const at::Tensor y = CublasLtLinear(x, weight, bias, Activation::kGeluTanh, kernels);
  return y.defined() ? y : reference::LinearGelu(x, weight, bias);
}

void LinearGeluInto(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    at::Tensor& out, KernelChoice kernels) {
  if (FitsOneDnn(x, weight)) {
    out.copy_(OneDnnLinear(x, weight, bias, "gelu", "tanh"));
    return;
  }
  const bool ran =
      GoesToCublasLt(x, kernels) &&
      LinearByCublasLt(
          {.x = x, .weight = weight, .bias = bias, .y = out, .activation = Activation::kGeluTanh});
  if (!ran) reference::LinearGeluInto(x, weight, bias, out);
}

namespace reference {

at::Tensor LinearOp(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::linear(x, weight, bias);
}

at::Tensor LinearGelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  at::Tensor y = at::linear(x, weight, bias);
  GeluTanh(y, y);
  return y;
}

void LinearGeluInto(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    at::Tensor& out) {
  at::addmm_out(out, bias, x, weight.t());
  GeluTanh(out, out);
}

}  // namespace reference
}  // namespace tessera
