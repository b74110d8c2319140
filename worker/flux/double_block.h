#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "worker/flux/flux_config.h"
#include "worker/flux/joint_attention.h"
#include "worker/flux/linear.h"
#include "worker/flux/rope.h"

namespace tessera {

// Shift, scale and gate vectors of one modulated residual branch, each [batch or 1, 1, inner_dim].
struct Modulation {
  at::Tensor shift, scale, gate;
};
// Branch `index` of a step's modulation vectors [batch or 1, 1, branches * 3 * inner_dim].
Modulation ModulationOf(const at::Tensor& vectors, int64_t index, int64_t inner_dim);

// layer_norm(x) * (1 + scale) + shift, [B, rows, inner], as input of the layer `consumer`: in FP8
// if that layer is. Where several layers consume the result, all of them are alike.
LinearInput Modulated(const at::Tensor& x, const Modulation& m, const Linear& consumer);

// One of the two streams, image or text, of a double block: MM-DiT (Esser et al. 2024).
// docs/flux.md, "Double blocks".
struct DoubleStream {
  Linear modulation;  // [6 * inner, inner]
  Linear to_q, to_k, to_v, to_out;
  at::Tensor norm_q, norm_k;  // [head_dim]
  Linear mlp_in, mlp_out;
  KernelChoice kernels;  // of the work between the linear layers

  // x [B, rows, inner]. Writes normed and rotated q, k and plain v of its rows.
  void ProjectQkv(const at::Tensor& x, const at::Tensor& vectors, const RopeTable& rope,
                  const at::Tensor& q, const JointAttention::KeyValue& key_value) const;
  // x += gate * to_out(attention); x += gate * mlp(modulated x).
  void AddBranches(at::Tensor& x, const at::Tensor& vectors, const at::Tensor& attention) const;
};

struct DoubleBlock {
  DoubleStream image, text;

  static DoubleBlock Load(WeightReader& reader, const FluxConfig& config, int64_t index,
                          const LayerSet& fp8, KernelChoice kernels);

  // text, image [B, rows, inner] are updated in place; the vectors are this step's [B or 1, 1, 6 *
  // inner]; the tables hold the rows' own positions.
  void Forward(at::Tensor& text_rows, at::Tensor& image_rows, const at::Tensor& text_vectors,
               const at::Tensor& image_vectors, const RopeTable& text_rope,
               const RopeTable& image_rope, int64_t layer, JointAttention& attention) const;
};

}  // namespace tessera
