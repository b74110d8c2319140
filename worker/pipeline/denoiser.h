#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <vector>

#include "common/plan/parallel_plan.h"
#include "worker/comm/communicator.h"
#include "worker/flux/flux_transformer.h"
#include "worker/pipeline/denoise_pass.h"
#include "worker/pipeline/job_hooks.h"

namespace tessera {

// What the loop needs of one job. sigmas has one entry more than there are steps.
struct DenoiseJob {
  at::Tensor latents;                        // [B, L, in_channels], the noise; updated in place
  FluxConditioning positive;                 // of the prompt
  std::optional<FluxConditioning> negative;  // with it: true CFG
  double true_cfg_scale = 1.0;
  std::vector<float> sigmas;
  StepSchedule schedule;
  TextMode text_mode = TextMode::kSplit;
};

// The denoising loop of one rank: vote, transformer over this rank's chunk, gather of the velocity,
// Euler step. Keeps what its passes keep from job to job. Owned by the device thread.
class Denoiser {
 public:
  explicit Denoiser(const FluxTransformer& transformer, const DenoiseOptions& options = {})
      : config_(transformer.config()),
        kernels_(transformer.kernels()),
        positive_(transformer, options),
        negative_(transformer, options) {}

  // Called after each step with the full latents, for tests and measurements.
  using StepObserver =
      std::function<void(int step, const at::Tensor& latents, const at::Tensor& velocity)>;

  // Leaves the result in job.latents. Throws StatusException: the vote's CANCELLED or
  // DEADLINE_EXCEEDED, the communicator's error, on_step's error, INTERNAL for latents that are not
  // finite; and what tensor code throws. `step` always tells the step under way, also after a
  // throw.
  void Run(DenoiseJob& job, Communicator& communicator, const JobHooks& hooks, int& step,
           std::vector<double>& step_ms, const StepObserver& observer = nullptr);

  // Gives the memory of caches and recorded steps back.
  void Free();
  int64_t cache_bytes() const;

 private:
  const FluxConfig& config_;
  const KernelChoice kernels_;
  DenoisePass positive_, negative_;
};

}  // namespace tessera
