#include "worker/flux/linear.h"

#include <ATen/ATen.h>

#include "worker/kernels/gelu_tanh.h"
#include "worker/kernels/linear/fp8_linear.h"
#include "worker/kernels/linear/linear.h"

namespace tessera {
LayerSet DefaultFp8Layers() {
  return {LayerClass::kDoubleQkv,    LayerClass::kDoubleOut, LayerClass::kDoubleMlpIn,
          LayerClass::kDoubleMlpOut, LayerClass::kSingleIn,  LayerClass::kSingleOut};
}

const Fp8Rows& LinearInput::fp8(KernelChoice kernels) const {
  if (!fp8_) fp8_ = QuantizeRows(x_, kernels);
  return *fp8_;
}

Linear Linear::Load(WeightReader& reader, const std::string& name, int64_t in, int64_t out,
                    KernelChoice kernels) {
  return {.weight = reader.Take(name + ".weight", {out, in}),
          .bias = reader.Take(name + ".bias", {out}),
          .fp8_weight = std::nullopt,
          .kernels = kernels};
}

Linear Linear::Load(WeightReader& reader, const std::string& name, int64_t in, int64_t out,
                    LayerClass layer, const LayerSet& fp8, KernelChoice kernels) {
  if (!fp8.contains(layer)) return Load(reader, name, in, out, kernels);
  return {.weight = at::Tensor(),
          .bias = reader.Take(name + ".bias", {out}),
          .fp8_weight = reader.TakeFp8(name + ".weight", {out, in}),
          .kernels = kernels};
}

at::Tensor Linear::operator()(const LinearInput& x) const {
  return is_fp8() ? Fp8Linear(x.fp8(kernels), *fp8_weight, bias, kernels)
                  : LinearOp(x.tensor(), weight, bias, kernels);
}

at::Tensor Linear::Gelu(const LinearInput& x) const {
  if (!is_fp8()) return LinearGelu(x.tensor(), weight, bias, kernels);
  at::Tensor y = (*this)(x);
  GeluTanh(y, y, kernels);
  return y;
}

void Linear::GeluInto(const LinearInput& x, at::Tensor& out) const {
  if (!is_fp8()) return LinearGeluInto(x.tensor().flatten(0, -2), weight, bias, out, kernels);
  GeluTanh((*this)(x).flatten(0, -2), out, kernels);
}

}  // namespace tessera
