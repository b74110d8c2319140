#include "worker/pipeline/denoiser.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "worker/base/status_exception.h"
#include "worker/parallel/rotating_attention.h"
#include "worker/pipeline/step_pacer.h"
#include "worker/sampling/flow_match_scheduler.h"
#include "worker/sampling/true_cfg.h"

namespace tessera {
namespace {

// All ranks leave the loop at the same step: the largest reason over the ranks counts.
void VoteOrThrow(Communicator& communicator, const JobHooks& hooks) {
  const StopReason mine = hooks.stop == nullptr ? StopReason::kNone : hooks.stop->load();
  const absl::StatusOr<std::vector<int64_t>> votes = communicator.Vote(static_cast<int64_t>(mine));
  ThrowIfError(votes.status());
  switch (static_cast<StopReason>(*std::max_element(votes->begin(), votes->end()))) {
    case StopReason::kNone:
      return;
    case StopReason::kCancelled:
      throw StatusException(absl::CancelledError("cancelled"));
    case StopReason::kDeadline:
      throw StatusException(absl::DeadlineExceededError("the deadline passed"));
  }
}

// One forward pass's conditioning, with the caches its attention reads.
struct Pass {
  const FluxConditioning& conditioning;
  RotatingAttention attention;
};

// Gathers every rank's image rows into `full` [B, L, C], of which this rank's own rows are filled.
void GatherVelocity(at::Tensor& full, const ChunkLayout& layout,
                    const std::vector<int>& chunk_of_rank, Communicator& communicator) {
  std::vector<std::vector<at::Tensor>> pieces(layout.ranks);
  for (int rank = 0; rank < layout.ranks; ++rank) {
    const RowRange rows = layout.Chunk(chunk_of_rank[rank]).image;
    for (int64_t b = 0; b < full.size(0); ++b)
      pieces[rank].push_back(full[b].narrow(0, rows.begin, rows.size()));
  }
  ThrowIfError(communicator.AllGather(pieces));
}

}  // namespace

void Denoiser::Run(DenoiseJob& job, Communicator& communicator, const JobHooks& hooks, int& step,
                   std::vector<double>& step_ms, const StepObserver& observer) {
  const int steps = static_cast<int>(job.sigmas.size()) - 1;
  const ChunkLayout layout = {.text_tokens = job.positive.context.size(1),
                              .image_tokens = job.latents.size(1),
                              .ranks = communicator.size(),
                              .text_mode = job.text_mode};
  const FluxConfig& config = transformer_.config();
  const bool kept = communicator.size() > 1 && HasStaleStep(steps, job.schedule);
  const KvCache::Shape shape = {.layers = kept ? config.attention_layers() : 1,
                                .batch = job.latents.size(0),
                                .rows = layout.text_tokens + layout.image_tokens,
                                .heads = config.num_attention_heads,
                                .head_dim = config.attention_head_dim};
  if (!job.negative.has_value()) negative_cache_.Free();
  positive_cache_.Reserve(shape, job.latents.options());
  Pass positive = {job.positive, RotatingAttention(positive_cache_, layout, communicator)};
  std::optional<Pass> negative;
  if (job.negative) {
    negative_cache_.Reserve(shape, job.latents.options());
    negative.emplace(Pass{*job.negative, RotatingAttention(negative_cache_, layout, communicator)});
  }
  at::Tensor velocity = at::empty({job.latents.size(0), layout.image_tokens, config.out_channels},
                                  job.latents.options());

  StepPacer pacer(job.latents.device());
  std::vector<int> chunk_of_rank(communicator.size());
  for (step = 0; step < steps; ++step) {
    const auto begin = std::chrono::steady_clock::now();
    VoteOrThrow(communicator, hooks);
    const StepKind kind = KindOfStep(step, job.schedule);
    for (int rank = 0; rank < layout.ranks; ++rank) {
      chunk_of_rank[rank] = ChunkOfRank(step, rank, layout.ranks, job.schedule);
    }
    const TokenRows rows = layout.Chunk(chunk_of_rank[communicator.rank()]);
    const auto run = [&](Pass& pass) {
      pass.attention.BeginStep(kind, chunk_of_rank);
      return transformer_.Velocity(pass.conditioning, step, job.latents, rows, pass.attention);
    };
    at::Tensor mine = run(positive);  // [B, rows.image, C]
    if (negative) mine = CombineTrueCfg(run(*negative), mine, job.true_cfg_scale);
    velocity.narrow(1, rows.image.begin, rows.image.size()).copy_(mine);
    if (layout.ranks > 1) GatherVelocity(velocity, layout, chunk_of_rank, communicator);
    EulerStep(job.latents, velocity, job.sigmas[step], job.sigmas[step + 1]);

    // On a device this would wait for it in every step; there the pipeline looks once, after the
    // last.
    if (job.latents.is_cpu() && !job.latents.isfinite().all().item<bool>()) {
      throw StatusException(absl::InternalError("the latents are not finite"));
    }
    if (observer) observer(step, job.latents, velocity);
    pacer.EndStep();
    step_ms.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
            .count());
    if (hooks.on_step) ThrowIfError(hooks.on_step(step, steps));
  }
  pacer.Finish();
}

void Denoiser::Free() {
  positive_cache_.Free();
  negative_cache_.Free();
}

int64_t Denoiser::cache_bytes() const { return positive_cache_.bytes() + negative_cache_.bytes(); }

}  // namespace tessera
