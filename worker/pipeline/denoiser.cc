#include "worker/pipeline/denoiser.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "worker/base/status_exception.h"
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

// Gathers every rank's image rows into `full` [B, L, C], of which this rank's own rows are filled.
void GatherVelocity(at::Tensor& full, const ParallelPlan& plan, int step,
                    Communicator& communicator) {
  std::vector<std::vector<at::Tensor>> pieces(communicator.size());
  for (int rank = 0; rank < communicator.size(); ++rank) {
    const RowRange rows = plan.RowsOf(step, rank).image;
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
  const auto strategy = MakeParallelStrategy(layout, steps, job.schedule);
  const ParallelPlan& plan = strategy->plan();
  const auto begin_pass = [&](DenoisePass& pass, const FluxConditioning& conditioning) {
    pass.Begin({.conditioning = conditioning,
                .strategy = *strategy,
                .images = job.latents.size(0),
                .communicator = communicator},
               job.latents.options());
  };
  begin_pass(positive_, job.positive);
  if (job.negative) {
    begin_pass(negative_, *job.negative);
  } else {
    negative_.Free();
  }
  at::Tensor velocity = at::empty({job.latents.size(0), layout.image_tokens, config_.out_channels},
                                  job.latents.options());

  StepPacer pacer(job.latents.device());
  for (step = 0; step < steps; ++step) {
    const auto begin = std::chrono::steady_clock::now();
    VoteOrThrow(communicator, hooks);
    const TokenRows rows = plan.RowsOf(step, communicator.rank());
    const auto run = [&](DenoisePass& pass) { return pass.Velocity(step, job.latents); };
    at::Tensor mine = run(positive_);  // [B, rows.image, C]
    if (job.negative) mine = CombineTrueCfg(run(negative_), mine, job.true_cfg_scale);
    velocity.narrow(1, rows.image.begin, rows.image.size()).copy_(mine);
    if (communicator.size() > 1) GatherVelocity(velocity, plan, step, communicator);
    EulerStep(job.latents, velocity, job.sigmas[step], job.sigmas[step + 1], kernels_);

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
  positive_.Free();
  negative_.Free();
}

int64_t Denoiser::cache_bytes() const { return positive_.cache_bytes() + negative_.cache_bytes(); }

}  // namespace tessera
