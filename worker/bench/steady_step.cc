#include "worker/bench/steady_step.h"

#include <ATen/ATen.h>

#include <chrono>
#include <memory>
#include <utility>

#include "worker/pipeline/compute_device.h"
#include "worker/sampling/flow_match_scheduler.h"

namespace tessera {
namespace {

// A stale step of one chunk, for a rank that has no peers.
class OneChunkPlan : public ParallelPlan {
 public:
  OneChunkPlan(const ChunkLayout& layout, int chunk, bool keep_rows)
      : ParallelPlan(layout), chunk_(chunk), keep_rows_(keep_rows) {}

  StepKind KindOf(int /*step*/) const override { return StepKind::kStale; }
  int ChunkOfRank(int /*step*/, int /*rank*/) const override { return chunk_; }
  bool Exchanges(int /*step*/) const override { return false; }
  RankRows MostRows() const override {
    return {.computed = layout().Chunk(chunk_).size(),
            .attended = layout().tokens(),
            .outlive_step = keep_rows_,
            .replayable = true};
  }

 private:
  const int chunk_;
  const bool keep_rows_;
};

}  // namespace

SteadyStep::SteadyStep(const FluxTransformer& transformer, DenoiseJob job,
                       const DenoiseOptions& options)
    : job_(std::move(job)),
      kernels_(transformer.kernels()),
      records_(options.recorder != nullptr),
      one_of_many_(transformer, options),
      alone_(transformer, options) {
  const at::Tensor& latents = job_.latents;
  velocity_ = at::zeros({latents.size(0), latents.size(1), transformer.config().out_channels},
                        latents.options());
  Begin(one_of_many_, 1, 0, /*keep_rows=*/true);
  Step(one_of_many_);
}

void SteadyStep::Begin(DenoisePass& pass, int ranks, int chunk, bool keep_rows) {
  const ChunkLayout layout = {.text_tokens = job_.positive.context.size(1),
                              .image_tokens = job_.latents.size(1),
                              .ranks = ranks,
                              .text_mode = job_.text_mode};
  strategy_.emplace(std::make_unique<OneChunkPlan>(layout, chunk, keep_rows));
  pass.Begin({.conditioning = job_.positive,
              .strategy = *strategy_,
              .images = job_.latents.size(0),
              .communicator = communicator_},
             job_.latents.options());
}

void SteadyStep::Step(DenoisePass& pass) {
  const RowRange rows = strategy_->plan().RowsOf(0, communicator_.rank()).image;
  velocity_.narrow(1, rows.begin, rows.size()).copy_(pass.Velocity(0, job_.latents));
  EulerStep(job_.latents, velocity_, job_.sigmas[0], job_.sigmas[0], kernels_);
}

double SteadyStep::MeasureMs(int ranks, int chunk, int count) {
  DenoisePass& pass = ranks == 1 ? alone_ : one_of_many_;
  Begin(pass, ranks, chunk, /*keep_rows=*/ranks > 1);
  if (records_) {  // one as it stands, and one to record
    for (int i = 0; i < 2; ++i) Step(pass);
  }
  Synchronize(device());
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) Step(pass);
  Synchronize(device());
  const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begin;
  return spent.count() / count;
}

}  // namespace tessera
