#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "worker/flux/flux_transformer.h"
#include "worker/pipeline/denoiser.h"
#include "worker/pipeline/pipeline.h"
#include "worker/pipeline/prompt_encoder.h"
#include "worker/sampling/flow_match_scheduler.h"
#include "worker/vae/vae_decoder.h"

namespace tessera {

// Text to picture as diffusers' FluxPipeline does it, each rank computing its chunk: docs/flux.md
// and docs/engine.md.
class FluxPipeline : public Pipeline {
 public:
  static absl::StatusOr<std::unique_ptr<FluxPipeline>> Load(const PipelineOptions& options);

  const ModelInfo& model() const override { return model_; }
  const std::string& dtype() const override { return dtype_name_; }
  int threads() const override { return threads_; }
  const JobMemory& job_memory() const override { return job_memory_; }
  absl::StatusOr<ImageResult> Generate(const ImageRequest& request, Communicator& communicator,
                                       const JobHooks& hooks) override;

  // What Generate is made of, for golden tests and the benchmark. They throw; the caller sets
  // InferenceMode. Without a communicator this rank encodes for itself.
  DenoiseJob Prepare(const ImageRequest& request, ImageResult& result);
  DenoiseJob Prepare(const ImageRequest& request, Communicator& communicator, ImageResult& result);
  Denoiser& denoiser() { return *denoiser_; }
  const FluxTransformer& transformer() const { return *transformer_; }
  // Packed latents [B, L, C] -> [B, 3, height, width], before clamping.
  at::Tensor Decode(const at::Tensor& latents, int height, int width) const;

  // Packed latents [B, L, C], the same on all ranks -> the pictures, on rank 0. Each rank decodes
  // its rows.
  void MakePictures(const at::Tensor& latents, const ImageRequest& request,
                    Communicator& communicator, ImageResult& result) const;

 private:
  FluxPipeline(FluxTransformer transformer, PromptEncoder text, VaeDecoder vae,
               std::unique_ptr<GraphRecorder> recorder, KvStorage kv_storage);
  absl::Status CheckRequest(const ImageRequest& request, int ranks) const;
  FluxConditioning Condition(const std::string& prompt, const std::optional<std::string>& prompt_2,
                             const ImageRequest& request, std::span<const float> timesteps,
                             Communicator& communicator, ImageResult* result);
  void FreeDenoiser();
  void Hold(const MemoryNeed& need);
  void RunStages(const ImageRequest& request, Communicator& communicator, const JobHooks& hooks,
                 std::string& stage, int& step, ImageResult& result);

  const std::unique_ptr<const FluxTransformer> transformer_;  // the denoiser keeps a reference
  const std::unique_ptr<GraphRecorder> recorder_;             // and another; or null
  const std::unique_ptr<Denoiser> denoiser_;
  PromptEncoder text_;
  VaeDecoder vae_;
  SchedulerConfig scheduler_;
  ModelInfo model_;
  std::string dtype_name_;
  at::ScalarType dtype_ = at::kFloat;
  at::Device device_ = at::kCPU;
  int threads_ = 1;
  JobMemory job_memory_;
  MemoryNeed held_;  // what the denoiser keeps of the jobs so far, at most
};

}  // namespace tessera
