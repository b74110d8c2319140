#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "worker/kernels/fp8_rows.h"
#include "worker/kernels/kernel_choice.h"
#include "worker/weights/weight_reader.h"

namespace tessera {

// The linear layers of the denoising steps, as far as they can be FP8.
enum class LayerClass {
  kImageIn,    // x_embedder
  kDoubleQkv,  // to_q, to_k, to_v and their added ones
  kDoubleOut,  // to_out, to_add_out
  kDoubleMlpIn,
  kDoubleMlpOut,
  kSingleIn,  // to_q, to_k, to_v, proj_mlp
  kSingleOut,
  kFinal,  // proj_out
};
using LayerSet = std::set<LayerClass>;

// What is FP8 where FP8 is asked for, by measured error: docs/performance.md. What runs once before
// the loop stays as it is.
LayerSet DefaultFp8Layers();

// What linear layers read, [..., in]: rows in the working type, which layers that are FP8 share
// quantised, or rows in FP8 alone, for such layers. Used by one thread.
class LinearInput {
 public:
  LinearInput(at::Tensor x) : x_(std::move(x)) {}       // NOLINT: any tensor is an input
  LinearInput(Fp8Rows rows) : fp8_(std::move(rows)) {}  // NOLINT: so are quantised rows
  const at::Tensor& tensor() const { return x_; }       // undefined for rows in FP8 alone
  const Fp8Rows& fp8(KernelChoice kernels) const;

 private:
  const at::Tensor x_;
  mutable std::optional<Fp8Rows> fp8_;  // made when first asked for
};

// y = x W^T + b, by a weight in the working type or in FP8.
struct Linear {
  at::Tensor weight;  // [out, in]; undefined if it is FP8
  at::Tensor bias;    // [out]
  std::optional<Fp8Rows> fp8_weight;
  KernelChoice kernels;  // that compute it

  bool is_fp8() const { return fp8_weight.has_value(); }

  static Linear Load(WeightReader& reader, const std::string& name, int64_t in, int64_t out,
                     KernelChoice kernels);
  // With an FP8 weight if `fp8` contains `layer`: as it is stored, or quantised.
  static Linear Load(WeightReader& reader, const std::string& name, int64_t in, int64_t out,
                     LayerClass layer, const LayerSet& fp8, KernelChoice kernels);

  at::Tensor operator()(const LinearInput& x) const;  // [..., in] -> [..., out]
  // gelu_tanh of that.
  at::Tensor Gelu(const LinearInput& x) const;
  // The same, rows in order, into `out` [rows, out], whose rows may be apart.
  void GeluInto(const LinearInput& x, at::Tensor& out) const;
};

}  // namespace tessera
