#include "worker/flux/linear.h"

#include "worker/kernels/linear_ops.h"

namespace tessera {

Linear Linear::Load(WeightReader& reader, const std::string& name, int64_t in, int64_t out) {
  return {reader.Take(name + ".weight", {out, in}), reader.Take(name + ".bias", {out})};
}

at::Tensor Linear::operator()(const at::Tensor& x) const { return LinearOp(x, weight, bias); }

at::Tensor Linear::Gelu(const at::Tensor& x) const { return LinearGelu(x, weight, bias); }

void Linear::GeluInto(const at::Tensor& x, at::Tensor& out) const {
  LinearGeluInto(x, weight, bias, out);
}

}  // namespace tessera
