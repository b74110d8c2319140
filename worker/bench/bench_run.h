#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/bench/bench_options.h"
#include "worker/bench/steady_step.h"
#include "worker/pipeline/compute_device.h"
#include "worker/pipeline/flux_pipeline.h"

namespace tessera {

// One measured run, as rank 0 saw it.
struct BenchRun {
  StageTimes times;            // of the stages there are
  double png_s = 0;            // by rank 0; in a server others do it, while the ranks go on
  int64_t bytes_received = 0;  // by rank 0
  at::Tensor latents;          // the result, packed
};

// The engine under measurement: weights loaded once, ranks as threads of this process.
class BenchSubject {
 public:
  static absl::StatusOr<std::unique_ptr<BenchSubject>> Load(const BenchOptions& options);

  const FluxConfig& config() const { return transformer().config(); }
  at::Device device() const { return compute_.device; }
  absl::StatusOr<BenchRun> Run(int ranks);
  // A rank's steady step alone, in the caller's thread. Throws what tensor code throws.
  SteadyStep MakeSteadyStep();

 private:
  explicit BenchSubject(const BenchOptions& options) : options_(options) {}
  const FluxTransformer& transformer() const {
    return pipeline_ ? pipeline_->transformer() : *random_;
  }
  DenoiseOptions MakeDenoiseOptions();
  Denoiser& denoiser(int rank);
  DenoiseJob MakeJob(ImageResult& result) const;
  // One rank's part in a run. Throws.
  void RunRank(const DenoiseJob& job, Communicator& communicator, BenchRun& run);

  const BenchOptions options_;
  std::unique_ptr<FluxPipeline> pipeline_;   // with a checkpoint
  std::unique_ptr<FluxTransformer> random_;  // without one
  std::unique_ptr<VaeDecoder> random_vae_;   // with --vae
  std::vector<std::unique_ptr<GraphRecorder>> recorders_;
  std::vector<std::unique_ptr<Denoiser>> denoisers_;
  ComputeDevice compute_;
};

}  // namespace tessera
