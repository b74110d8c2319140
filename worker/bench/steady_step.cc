#include "worker/bench/steady_step.h"

#include <ATen/ATen.h>

#include <chrono>
#include <utility>

#include "worker/parallel/rotating_attention.h"
#include "worker/parallel/single_communicator.h"
#include "worker/pipeline/compute_device.h"
#include "worker/sampling/flow_match_scheduler.h"

namespace tessera {

SteadyStep::SteadyStep(const FluxTransformer& transformer, DenoiseJob job)
    : transformer_(transformer), job_(std::move(job)) {
  const FluxConfig& config = transformer.config();
  const at::Tensor& latents = job_.latents;
  KvCache::Shape shape = {.layers = config.attention_layers(),
                          .batch = latents.size(0),
                          .rows = job_.positive.context.size(1) + latents.size(1),
                          .heads = config.num_attention_heads,
                          .head_dim = config.attention_head_dim};
  whole_.Reserve(shape, latents.options());
  shape.layers = 1;
  shared_.Reserve(shape, latents.options());
  velocity_ = at::zeros({latents.size(0), latents.size(1), config.out_channels}, latents.options());
  Step(whole_, 1, 0);
}

void SteadyStep::Step(const KvCache& cache, int ranks, int chunk) {
  const ChunkLayout layout = {.text_tokens = job_.positive.context.size(1),
                              .image_tokens = job_.latents.size(1),
                              .ranks = ranks,
                              .text_mode = job_.text_mode};
  SingleCommunicator alone;
  RotatingAttention attention(cache, layout, alone);
  attention.BeginStep(StepKind::kStale, {chunk});
  const TokenRows rows = layout.Chunk(chunk);
  velocity_.narrow(1, rows.image.begin, rows.image.size())
      .copy_(transformer_.Velocity(job_.positive, 0, job_.latents, rows, attention));
  EulerStep(job_.latents, velocity_, job_.sigmas[0], job_.sigmas[0]);
}

double SteadyStep::MeasureMs(int ranks, int chunk, int count) {
  Synchronize(device());
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) Step(ranks == 1 ? shared_ : whole_, ranks, chunk);
  Synchronize(device());
  const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begin;
  return spent.count() / count;
}

}  // namespace tessera
