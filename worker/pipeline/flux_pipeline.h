#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/job/image_request.h"
#include "common/job/job_memory.h"
#include "common/model/model_info.h"
#include "worker/flux/flux_transformer.h"
#include "worker/pipeline/compute_device.h"
#include "worker/pipeline/denoiser.h"
#include "worker/pipeline/pipeline_options.h"
#include "worker/pipeline/prompt_encoder.h"
#include "worker/sampling/flow_match_scheduler.h"
#include "worker/vae/vae_decoder.h"

namespace tessera {

// Text to picture as diffusers' FluxPipeline does it, each rank computing its chunk: text encoders,
// transformer, scheduler, VAE. Weights are loaded once and outlive every epoch. Not thread-safe:
// one device thread owns the object.
class FluxPipeline {
 public:
  // Errors name file, tensor or field: NOT_FOUND, INVALID_ARGUMENT, DATA_LOSS.
  static absl::StatusOr<std::unique_ptr<FluxPipeline>> Load(const PipelineOptions& options);

  const ModelInfo& model() const { return parts_.model; }
  const std::string& dtype() const { return parts_.compute.dtype_name; }  // as resolved
  int threads() const { return parts_.compute.threads; }                  // as resolved
  const JobMemory& job_memory() const { return parts_.job_memory; }

  // As Engine::Generate, in the group behind `communicator`, which is aborted with this rank's own
  // failure.
  absl::StatusOr<ImageResult> Generate(const ImageRequest& request, Communicator& communicator,
                                       const JobHooks& hooks);

  // What Generate is made of, for golden tests and the benchmark. They throw; the caller sets
  // InferenceMode. Without a communicator this rank encodes for itself.
  DenoiseJob Prepare(const ImageRequest& request, ImageResult& result);
  DenoiseJob Prepare(const ImageRequest& request, Communicator& communicator, ImageResult& result);
  Denoiser& denoiser() { return denoiser_; }
  const FluxTransformer& transformer() const { return parts_.transformer; }
  // Packed latents [B, L, C] -> [B, 3, height, width], before clamping.
  at::Tensor Decode(const at::Tensor& latents, int height, int width) const;

  // Packed latents [B, L, C], the same on all ranks -> the pictures, on rank 0. Each rank decodes
  // its rows.
  void MakePictures(const at::Tensor& latents, const ImageRequest& request,
                    Communicator& communicator, ImageResult& result) const;

 private:
  // All that Load reads and measures.
  struct Parts {
    ModelInfo model;
    ComputeDevice compute;
    SchedulerConfig scheduler;
    PromptEncoder text;
    VaeDecoder vae;
    FluxTransformer transformer;
    JobMemory job_memory;
    std::unique_ptr<GraphRecorder> recorder;  // null: no steps are recorded
  };
  explicit FluxPipeline(Parts parts);
  FluxPipeline(const FluxPipeline&) = delete;
  FluxPipeline& operator=(const FluxPipeline&) = delete;

  // Refuses what the engine cannot compute; the server has checked requests against the limits.
  absl::Status CheckRequest(const ImageRequest& request, int ranks) const;
  FluxConditioning Condition(const std::string& prompt, const std::optional<std::string>& prompt_2,
                             const ImageRequest& request, std::span<const float> timesteps,
                             Communicator& communicator, ImageResult* result);
  void FreeDenoiser();
  void Hold(const MemoryNeed& need);
  void RunStages(const ImageRequest& request, Communicator& communicator, const JobHooks& hooks,
                 JobStage& stage, int& step, ImageResult& result);

  Parts parts_;
  Denoiser denoiser_;  // refers to the parts' transformer and recorder
  MemoryNeed held_;    // what the denoiser keeps of the jobs so far, at most
};

}  // namespace tessera
