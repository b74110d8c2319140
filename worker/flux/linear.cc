#include "worker/flux/linear.h"

#include <ATen/ATen.h>

namespace tessera {

Linear Linear::Load(WeightReader& reader, const std::string& name, int64_t in, int64_t out) {
  return {reader.Take(name + ".weight", {out, in}), reader.Take(name + ".bias", {out})};
}

at::Tensor Linear::operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }

void Linear::Into(const at::Tensor& x, at::Tensor out) const {
  at::addmm_out(out, bias, x, weight.t());
}

}  // namespace tessera
