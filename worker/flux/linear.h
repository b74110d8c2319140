#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "worker/tensor_io/weight_reader.h"

namespace tessera {

// y = x W^T + b.
struct Linear {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out]

  static Linear Load(WeightReader& reader, const std::string& name, int64_t in, int64_t out);

  at::Tensor operator()(const at::Tensor& x) const;  // [..., in] -> [..., out]
  // gelu_tanh of that.
  at::Tensor Gelu(const at::Tensor& x) const;
  // The same into `out` [rows, out], whose rows may be apart. x [rows, in].
  void GeluInto(const at::Tensor& x, at::Tensor& out) const;
};

}  // namespace tessera
