#include "worker/flux/time_text_embedding.h"

#include <ATen/ATen.h>

#include <cmath>

namespace tessera {
namespace {
constexpr int64_t kSinusoidWidth = 256;
}  // namespace

at::Tensor Sinusoid(const at::Tensor& values) {
  constexpr int64_t kHalf = kSinusoidWidth / 2;
  const at::Tensor exponent =
      at::arange(kHalf, values.options().dtype(at::kFloat)) * -std::log(10000.0) / kHalf;
  const at::Tensor angle = values.unsqueeze(1) * exponent.exp().unsqueeze(0);
  return at::cat({angle.cos(), angle.sin()}, 1);
}

at::Tensor RoundedTimesteps(const at::Tensor& timesteps, at::ScalarType dtype) {
  return (timesteps.to(dtype) / 1000 * 1000).to(at::kFloat);
}

at::Tensor RoundedGuidance(const at::Tensor& guidance, at::ScalarType dtype) {
  return (guidance.to(dtype) * 1000).to(at::kFloat);
}

EmbeddingMlp EmbeddingMlp::Load(WeightReader& reader, const std::string& name, int64_t in,
                                int64_t width, KernelChoice kernels) {
  return {Linear::Load(reader, name + ".linear_1", in, width, kernels),
          Linear::Load(reader, name + ".linear_2", width, width, kernels)};
}

at::Tensor EmbeddingMlp::operator()(const at::Tensor& x) const {
  return linear_2(at::silu(linear_1(x)));
}

TimeTextEmbedding TimeTextEmbedding::Load(WeightReader& reader, const FluxConfig& config,
                                          KernelChoice kernels) {
  const int64_t width = config.inner_dim();
  TimeTextEmbedding embedding;
  embedding.timestep = EmbeddingMlp::Load(reader, "time_text_embed.timestep_embedder",
                                          kSinusoidWidth, width, kernels);
  if (config.guidance_embeds) {
    embedding.guidance = EmbeddingMlp::Load(reader, "time_text_embed.guidance_embedder",
                                            kSinusoidWidth, width, kernels);
  }
  embedding.text = EmbeddingMlp::Load(reader, "time_text_embed.text_embedder",
                                      config.pooled_projection_dim, width, kernels);
  return embedding;
}

at::Tensor TimeTextEmbedding::operator()(const at::Tensor& timesteps, double guidance_scale,
                                         const at::Tensor& pooled) const {
  const at::ScalarType dtype = pooled.scalar_type();
  at::Tensor sum =
      timestep(Sinusoid(RoundedTimesteps(timesteps, dtype)).to(dtype));  // [steps, inner]
  if (guidance) {
    const at::Tensor scale = at::full({1}, guidance_scale, timesteps.options());
    sum = sum + (*guidance)(Sinusoid(RoundedGuidance(scale, dtype)).to(dtype));
  }
  return sum.unsqueeze(1) + text(pooled).unsqueeze(0);  // [steps, batch, inner]
}

}  // namespace tessera
