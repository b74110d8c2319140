#pragma once

#include <ATen/core/Tensor.h>

#include "worker/flux/flux_config.h"

namespace tessera {

// Rotary position table of a run; rows are all text tokens, then all image tokens row by row of the
// grid. Angles are computed in float64. docs/flux.md, "Positions"; FLUX.1, EmbedND.
struct RopeTable {
  at::Tensor cos;  // [text tokens + grid_height * grid_width, head_dim / 2], float32
  at::Tensor sin;  // the same
};

// ids [rows, axes]: the position of each row on each axis. On the ids' device.
RopeTable RopeFromIds(const at::Tensor& ids, at::IntArrayRef axes_dims);

// Text tokens stand at (0, 0, 0), image tokens at (0, y, x).
RopeTable BuildRopeTable(const FluxConfig& config, int64_t text_tokens, int64_t grid_height,
                         int64_t grid_width, at::Device device);

}  // namespace tessera
