#pragma once

#include <ATen/core/Tensor.h>

#include "worker/flux/flux_config.h"
#include "worker/flux/joint_attention.h"
#include "worker/flux/linear.h"
#include "worker/flux/rope.h"

namespace tessera {

// A single block: attention and MLP side by side over one sequence of text rows, then image rows.
// docs/flux.md, "Single blocks".
struct SingleBlock {
  Linear modulation;  // [3 * inner, inner]
  Linear to_q, to_k, to_v;
  at::Tensor norm_q, norm_k;  // [head_dim]
  Linear mlp;                 // [4 * inner, inner]
  Linear out;                 // [inner, inner + 4 * inner]
  KernelChoice kernels;       // of the work between the linear layers

  static SingleBlock Load(WeightReader& reader, const FluxConfig& config, int64_t index,
                          const LayerSet& fp8, KernelChoice kernels);

  // rows [B, text_count + image rows, inner] is updated in place; vectors [B or 1, 1, 3 * inner].
  void Forward(at::Tensor& rows, int64_t text_count, const at::Tensor& vectors,
               const RopeTable& text_rope, const RopeTable& image_rope, int64_t layer,
               JointAttention& attention) const;
};

}  // namespace tessera
