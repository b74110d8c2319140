#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/checkpoint.h"

namespace tessera {

// The VAE's config of a FLUX.1 checkpoint (diffusers' AutoencoderKL), as far as decoding needs it.
struct VaeConfig {
  std::vector<int64_t> block_out_channels;  // by level; the first has the size of the picture
  int64_t layers_per_block = 0;
  int64_t latent_channels = 0;
  int64_t norm_num_groups = 0;
  double scaling_factor = 1.0;  // decoder input = latents / scaling_factor + shift_factor
  double shift_factor = 0.0;
  bool use_post_quant_conv = true;
  bool mid_block_add_attention = true;

  // How many pixels a latent cell spans on either side.
  int64_t pixel_scale() const { return int64_t{1} << (block_out_channels.size() - 1); }
};

// Errors: NOT_FOUND, INVALID_ARGUMENT listing every wrong field with the file's name.
absl::StatusOr<VaeConfig> ReadVaeConfig(const Checkpoint& checkpoint);

}  // namespace tessera
