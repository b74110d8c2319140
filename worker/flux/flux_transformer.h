#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/plan/token_rows.h"
#include "worker/flux/double_block.h"
#include "worker/flux/flux_config.h"
#include "worker/flux/rope.h"
#include "worker/flux/single_block.h"
#include "worker/flux/time_text_embedding.h"
#include "worker/kernels/kernel_choice.h"

namespace tessera {

// All that does not change over a run's steps, or depends on the step's time alone, computed before
// the loop.
struct FluxConditioning {
  at::Tensor context;  // [B, T, inner], embedded text
  RopeTable rope;      // all rows
  // [steps, B, 1, width]: of each double block the image stream's vectors and the text stream's (6
  // * inner each), of each single block its own (3 * inner), then norm_out's scale and shift.
  at::Tensor modulation;
};

// Called after each block of a forward pass with the text and image rows, for tests.
using BlockObserver =
    std::function<void(const std::string& block, const at::Tensor& text, const at::Tensor& image)>;

// The FLUX.1 transformer (Black Forest Labs; diffusers' FluxTransformer2DModel; docs/flux.md). It
// computes any range of rows. Who computes the others, and where their keys and values come from,
// is the JointAttention's business. Weights are immutable after Load: thread-safe.
class FluxTransformer {
 public:
  // The layers of `fp8` are quantised as they are read, or used as they are stored. `kernels`
  // compute them and the work between them.
  static absl::StatusOr<FluxTransformer> Load(const Checkpoint& checkpoint,
                                              const WeightOptions& options,
                                              const LayerSet& fp8 = {}, KernelChoice kernels = {});

  // The same from an opened reader, whose every tensor must belong to the model.
  static absl::StatusOr<FluxTransformer> Load(const FluxConfig& config, WeightReader reader,
                                              const LayerSet& fp8 = {}, KernelChoice kernels = {});

  const FluxConfig& config() const { return config_; }
  // For all else in a denoising step.
  KernelChoice kernels() const { return kernels_; }

  // text [B, T, joint_attention_dim], pooled [B, pooled_projection_dim], timesteps 0..1000, one per
  // step. B is 1 when all images of a batch share one prompt.
  FluxConditioning Prepare(const at::Tensor& text, const at::Tensor& pooled,
                           std::span<const float> timesteps, double guidance_scale,
                           int64_t grid_height, int64_t grid_width) const;

  // The velocity of the image rows: latents [B, L, in_channels] -> [B, rows.image.size(),
  // out_channels].
  at::Tensor Velocity(const FluxConditioning& conditioning, int64_t step, const at::Tensor& latents,
                      const TokenRows& rows, JointAttention& attention,
                      const BlockObserver& observer = nullptr) const;

 private:
  FluxConfig config_;
  KernelChoice kernels_;
  Linear x_embedder_, context_embedder_;
  TimeTextEmbedding time_text_;
  std::vector<DoubleBlock> double_blocks_;
  std::vector<SingleBlock> single_blocks_;
  Linear norm_out_, proj_out_;
};

}  // namespace tessera
