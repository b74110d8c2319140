#include "worker/pipeline/denoise_pass.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace tessera {
namespace {

FluxConditioning PlacesFor(const FluxConditioning& c) {
  return {.context = at::empty_like(c.context),
          .rope = {at::empty_like(c.rope.cos), at::empty_like(c.rope.sin)},
          .modulation = at::empty_like(c.modulation.narrow(0, 0, 1))};
}

}  // namespace

void DenoisePass::Begin(const PassInput& input, const at::TensorOptions& options) {
  const FluxConfig& config = transformer_.config();
  const ChunkLayout& layout = input.strategy.plan().layout();
  const KvCache::Shape shape = input.strategy.CacheShape({.layers = config.attention_layers(),
                                                          .batch = input.images,
                                                          .rows = layout.tokens(),
                                                          .heads = config.num_attention_heads,
                                                          .head_dim = config.attention_head_dim,
                                                          .storage = options_.kv_storage});
  if (!cache_.HasRoomFor(shape, options)) Free();  // recorded steps point into the cache
  cache_.Reserve(shape, options);
  input_.emplace(input);
  attention_ = input.strategy.MakeAttention(cache_, input.communicator);
  if (Records()) {
    BeginRecorded({layout, input.images, input.conditioning.context.size(0)}, options);
  }
}

bool DenoisePass::Records() const {
  return options_.recorder != nullptr && input_->strategy.plan().MostRows().replayable;
}

void DenoisePass::BeginRecorded(const Size& size, const at::TensorOptions& options) {
  const FluxConditioning& c = input_->conditioning;
  const auto known = std::find_if(recorded_.begin(), recorded_.end(),
                                  [&](const RecordedSteps& steps) { return steps.size == size; });
  if (known != recorded_.end()) {
    recorded_.splice(recorded_.begin(), recorded_, known);
  } else {
    if (recorded_.size() == kRecordedSizes) recorded_.pop_back();
    recorded_.push_front(
        {.size = size,
         .conditioning = PlacesFor(c),
         .latents = at::empty(
             {size.images, size.layout.image_tokens, transformer_.config().in_channels}, options),
         .of_chunk = {}});
  }
  FluxConditioning& places = recorded_.front().conditioning;
  places.context.copy_(c.context);
  places.rope.cos.copy_(c.rope.cos);
  places.rope.sin.copy_(c.rope.sin);
}

at::Tensor DenoisePass::Velocity(int step, const at::Tensor& latents) {
  const ParallelPlan& plan = input_->strategy.plan();
  const int rank = input_->communicator.rank();
  const int chunk = plan.ChunkOfRank(step, rank);
  const TokenRows rows = plan.RowsOf(step, rank);
  attention_->BeginStep(step);
  const bool recorded = Records() && !plan.Exchanges(step);
  if (recorded) {
    const auto seen = recorded_.front().of_chunk.find(chunk);
    if (seen != recorded_.front().of_chunk.end()) {
      return Replayed(seen->second, rows, step, latents);
    }
  }
  const at::Tensor velocity =
      transformer_.Velocity(input_->conditioning, step, latents, rows, *attention_);
  if (recorded) recorded_.front().of_chunk.try_emplace(chunk);
  return velocity;
}

at::Tensor DenoisePass::Replayed(RecordedSteps::Step& recorded, const TokenRows& rows, int step,
                                 const at::Tensor& latents) {
  RecordedSteps& places = recorded_.front();
  places.latents.copy_(latents);
  places.conditioning.modulation.copy_(input_->conditioning.modulation.narrow(0, step, 1));
  if (recorded.graph == nullptr) {
    recorded.velocity =
        at::empty({latents.size(0), rows.image.size(), transformer_.config().out_channels},
                  latents.options());
    recorded.graph = options_.recorder->Record([this, &places, &recorded, rows] {
      recorded.velocity.copy_(
          transformer_.Velocity(places.conditioning, 0, places.latents, rows, *attention_));
    });
  }
  recorded.graph->Replay();
  return recorded.velocity;
}

void DenoisePass::Free() {
  recorded_.clear();
  cache_.Free();
}

}  // namespace tessera
