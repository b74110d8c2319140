#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/checkpoint.h"

namespace tessera {

// The transformer's config of a FLUX.1 checkpoint.
struct FluxConfig {
  int64_t num_layers = 0;         // double blocks
  int64_t num_single_layers = 0;  // single blocks
  int64_t num_attention_heads = 0;
  int64_t attention_head_dim = 0;
  int64_t in_channels = 0;  // features of a packed latent token
  int64_t out_channels = 0;
  int64_t joint_attention_dim = 0;    // width of the text states
  int64_t pooled_projection_dim = 0;  // width of the pooled text
  bool guidance_embeds = false;
  std::vector<int64_t> axes_dims_rope;  // sums to attention_head_dim

  int64_t inner_dim() const { return num_attention_heads * attention_head_dim; }
  int64_t attention_layers() const { return num_layers + num_single_layers; }
};

// Errors: NOT_FOUND, INVALID_ARGUMENT listing every wrong field with the file's name.
absl::StatusOr<FluxConfig> ReadFluxConfig(const Checkpoint& checkpoint);

}  // namespace tessera
