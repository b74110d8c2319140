#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "worker/flux/flux_config.h"
#include "worker/flux/linear.h"

namespace tessera {

// 256 features of each value: 128 cosines, then 128 sines. values float32 [n] -> float32 [n, 256].
at::Tensor Sinusoid(const at::Tensor& values);

// The value that reaches the sinusoid: scheduler timesteps (0..1000) go through /1000 and *1000 in
// `dtype`, as they do on their way through diffusers' pipeline; a guidance scale through *1000.
// float32 [n] -> float32 [n].
at::Tensor RoundedTimesteps(const at::Tensor& timesteps, at::ScalarType dtype);
at::Tensor RoundedGuidance(const at::Tensor& guidance, at::ScalarType dtype);

// linear_2(silu(linear_1 x)).
struct EmbeddingMlp {
  Linear linear_1, linear_2;
  static EmbeddingMlp Load(WeightReader& reader, const std::string& name, int64_t in, int64_t width,
                           KernelChoice kernels);
  at::Tensor operator()(const at::Tensor& x) const;
};

// `time_text_embed`: the modulation of every block is made of its result. docs/flux.md, "The
// conditioning vector".
struct TimeTextEmbedding {
  EmbeddingMlp timestep;
  std::optional<EmbeddingMlp> guidance;
  EmbeddingMlp text;

  static TimeTextEmbedding Load(WeightReader& reader, const FluxConfig& config,
                                KernelChoice kernels);

  // timesteps float32 [steps], on the weights' device, 0..1000; pooled [batch,
  // pooled_projection_dim]
  // -> [steps, batch, inner_dim]. guidance_scale has no effect without a guidance embedder.
  at::Tensor operator()(const at::Tensor& timesteps, double guidance_scale,
                        const at::Tensor& pooled) const;
};

}  // namespace tessera
