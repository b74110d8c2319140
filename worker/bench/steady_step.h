#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "worker/comm/single_communicator.h"
#include "worker/flux/flux_transformer.h"
#include "worker/parallel/rotating_strategy.h"
#include "worker/pipeline/denoise_pass.h"
#include "worker/pipeline/denoiser.h"

namespace tessera {

// What one rank of N computes in a stale step, alone: the transformer over its chunk against a
// cache that holds all rows, then the Euler step. Nothing is exchanged, and the latents do not
// move, so that every step sees the same. Owned by one thread, which sets InferenceMode. Throws
// what tensor code throws.
class SteadyStep {
 public:
  // Fills the cache by an exact pass. `transformer` outlives the object.
  SteadyStep(const FluxTransformer& transformer, DenoiseJob job,
             const DenoiseOptions& options = {});

  // Milliseconds per step over `count` steps of chunk `chunk` of `ranks`; the host does not
  // wait for a device in between. One rank is the whole step, over the cache that one rank has.
  double MeasureMs(int ranks, int chunk, int count);

  // Of the rows that were computed; [B, L, out_channels].
  const at::Tensor& velocity() const { return velocity_; }
  at::Device device() const { return job_.latents.device(); }

 private:
  void Begin(DenoisePass& pass, int ranks, int chunk, bool keep_rows);
  void Step(DenoisePass& pass);

  DenoiseJob job_;
  const KernelChoice kernels_;
  const bool records_;
  DenoisePass one_of_many_, alone_;  // with a buffer for each layer's rows; with one for all
  SingleCommunicator communicator_;
  std::optional<RotatingStrategy> strategy_;  // of the chunk that is being measured
  at::Tensor velocity_;
};

}  // namespace tessera
