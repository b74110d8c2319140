#include "worker/pipeline/flux_pipeline.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <chrono>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/seconds_since.h"
#include "common/base/status_macros.h"
#include "worker/base/exception_status.h"
#include "worker/comm/single_communicator.h"
#include "worker/pipeline/memory_costs.h"
#include "worker/pipeline/memory_plan.h"
#include "worker/sampling/latents.h"
#include "worker/weights/mapped_file.h"
#include "worker/weights/signal_stack.h"

namespace tessera {
namespace {

using Clock = std::chrono::steady_clock;

absl::Status Annotate(const absl::Status& status, JobStage stage, int step, int steps) {
  std::string where(StageName(stage));
  if (stage == JobStage::kDenoise) absl::StrAppend(&where, ", step ", step + 1, " of ", steps);
  return absl::Status(status.code(), absl::StrCat(where, ": ", std::string(status.message())));
}

}  // namespace

FluxPipeline::FluxPipeline(Parts parts)
    : parts_(std::move(parts)),
      denoiser_(parts_.transformer, {parts_.recorder.get(), parts_.compute.kv_storage}) {}

absl::StatusOr<std::unique_ptr<FluxPipeline>> FluxPipeline::Load(const PipelineOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(const ComputeDevice compute,
                           ResolveComputeDevice(options.device, options.dtype, options.threads));
  at::set_num_threads(compute.threads);
  GiveSignalStacks();
  int64_t weight_bytes = 0;
  const WeightOptions weights = {.dtype = compute.dtype,
                                 .device = compute.device,
                                 .cache_dir = options.weight_cache_dir,
                                 .on_progress = options.on_load_progress,
                                 .taken_bytes = &weight_bytes};
  TESSERA_ASSIGN_OR_RETURN(const std::shared_ptr<const Checkpoint> checkpoint,
                           Checkpoint::Open(options.model_dir));
  TESSERA_ASSIGN_OR_RETURN(ModelInfo model, ReadModelInfo(*checkpoint));
  TESSERA_ASSIGN_OR_RETURN(SchedulerConfig scheduler, ReadSchedulerConfig(*checkpoint));
  TESSERA_ASSIGN_OR_RETURN(PromptEncoder text,
                           PromptEncoder::Load(checkpoint, weights, options.text_encoder));
  TESSERA_ASSIGN_OR_RETURN(VaeDecoder vae, VaeDecoder::Load(*checkpoint, weights, options.kernels));
  TESSERA_ASSIGN_OR_RETURN(
      FluxTransformer transformer,
      FluxTransformer::Load(*checkpoint, weights, compute.fp8, options.kernels));

  const FluxConfig& config = transformer.config();
  const TextEncoders& encoders = text.encoders();
  if (encoders.joint_attention_dim() != config.joint_attention_dim ||
      encoders.pooled_projection_dim() != config.pooled_projection_dim) {
    return absl::InvalidArgumentError(absl::StrCat(
        checkpoint->Place(Part::kTransformer), ": the config expects joint_attention_dim ",
        config.joint_attention_dim, " and pooled_projection_dim ", config.pooled_projection_dim,
        "; the text encoders make states of width ", encoders.joint_attention_dim(), " and ",
        encoders.pooled_projection_dim(), " (pooled)"));
  }
  const int64_t features = 4 * vae.config().latent_channels;
  if (config.in_channels != features || config.out_channels != features) {
    return absl::InvalidArgumentError(
        absl::StrCat(checkpoint->Place(Part::kTransformer), ": the config has in_channels ",
                     config.in_channels, " and out_channels ", config.out_channels,
                     "; text to image needs ", features, ", 4 x the VAE's latent_channels"));
  }
  MemoryCosts costs = CostsOf(config, vae.config(), encoders.t5_config(),
                              model.limits.max_sequence_length, compute);
  std::unique_ptr<GraphRecorder> recorder = MakeGraphRecorder(compute.device, options.kernels);
  if (recorder != nullptr) costs.recorded_row = costs.computed_row;

  const JobMemory job_memory =
      MeasureJobMemory(costs, {.device = compute.device,
                               .weight_bytes = weight_bytes,
                               .encoder_bytes = text.device_bytes(),
                               .given_for_jobs = options.job_memory_bytes});
  return std::unique_ptr<FluxPipeline>(new FluxPipeline({.model = std::move(model),
                                                         .compute = compute,
                                                         .scheduler = scheduler,
                                                         .text = std::move(text),
                                                         .vae = std::move(vae),
                                                         .transformer = std::move(transformer),
                                                         .job_memory = job_memory,
                                                         .recorder = std::move(recorder)}));
}

absl::Status FluxPipeline::CheckRequest(const ImageRequest& request, int ranks) const {
  const int multiple = parts_.model.limits.size_multiple;
  if (request.width < multiple || request.height < multiple || request.width % multiple != 0 ||
      request.height % multiple != 0) {
    return absl::InvalidArgumentError(absl::StrCat("width and height: expected multiples of ",
                                                   multiple, ", found ", request.width, "x",
                                                   request.height));
  }
  if (request.num_inference_steps < 1 || request.num_images < 1 ||
      request.max_sequence_length < 1 || request.sync_steps < 1 || request.refresh_every < 0) {
    return absl::InvalidArgumentError(
        "num_inference_steps, num_images, max_sequence_length and sync_steps start at 1, "
        "refresh_every at 0");
  }
  const int64_t tokens = int64_t{request.width / multiple} * (request.height / multiple);
  if (ranks > tokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("width and height: ", request.width, "x", request.height, " is ", tokens,
                     " image tokens, fewer than the ", ranks, " ranks"));
  }
  return absl::OkStatus();
}

FluxConditioning FluxPipeline::Condition(const std::string& prompt,
                                         const std::optional<std::string>& prompt_2,
                                         const ImageRequest& request,
                                         std::span<const float> timesteps,
                                         Communicator& communicator, ImageResult* result) {
  const PromptEmbedding embedding =
      parts_.text.Encode(prompt, prompt_2, request.max_sequence_length, communicator);
  if (result != nullptr) {
    result->clip_tokens = embedding.clip_tokens;
    result->t5_tokens = embedding.t5_tokens;
    result->clip_truncated = embedding.clip_truncated;
    result->t5_truncated = embedding.t5_truncated;
  }
  const int multiple = parts_.model.limits.size_multiple;
  return transformer().Prepare(embedding.text, embedding.pooled, timesteps, request.guidance_scale,
                               request.height / multiple, request.width / multiple);
}

DenoiseJob FluxPipeline::Prepare(const ImageRequest& request, ImageResult& result) {
  SingleCommunicator alone;
  return Prepare(request, alone, result);
}

DenoiseJob FluxPipeline::Prepare(const ImageRequest& request, Communicator& communicator,
                                 ImageResult& result) {
  const VaeConfig& vae = parts_.vae.config();
  const LatentShape shape =
      LatentShapeOf(request.width, request.height, vae.latent_channels, vae.pixel_scale());
  const Schedule schedule =
      MakeSchedule(parts_.scheduler, request.num_inference_steps, shape.tokens());
  const bool true_cfg = request.true_cfg_scale > 1 && request.negative_prompt.has_value();
  std::optional<FluxConditioning> negative;
  if (true_cfg) {
    // The T5 text falls back to the negative prompt as prompt_2 falls back to the prompt.
    negative = Condition(*request.negative_prompt, request.negative_prompt_2, request,
                         schedule.timesteps, communicator, nullptr);
  }
  return {.latents = InitialLatents(shape, request.num_images, parts_.compute.dtype, request.seed)
                         .to(parts_.compute.device),
          .positive = Condition(request.prompt, request.prompt_2, request, schedule.timesteps,
                                communicator, &result),
          .negative = std::move(negative),
          .true_cfg_scale = request.true_cfg_scale,
          .sigmas = schedule.sigmas,
          .schedule = {.sync_steps = request.sync_steps, .refresh_every = request.refresh_every},
          .text_mode = request.text_mode};
}

at::Tensor FluxPipeline::Decode(const at::Tensor& latents, int height, int width) const {
  const VaeConfig& vae = parts_.vae.config();
  return parts_.vae.Decode(
      UnpackLatents(latents, LatentShapeOf(width, height, vae.latent_channels, vae.pixel_scale())));
}

void FluxPipeline::MakePictures(const at::Tensor& latents, const ImageRequest& request,
                                Communicator& communicator, ImageResult& result) const {
  const Clock::time_point begin = Clock::now();
  const VaeConfig& vae = parts_.vae.config();
  const LatentShape shape =
      LatentShapeOf(request.width, request.height, vae.latent_channels, vae.pixel_scale());
  for (const at::Tensor& one : UnpackLatents(latents, shape).split(1)) {
    const at::Tensor picture = parts_.vae.DecodeRgb8(one, communicator);
    if (communicator.rank() != 0) continue;
    const at::Tensor pixels = picture.cpu();
    result.pictures.emplace_back(static_cast<const char*>(pixels.const_data_ptr()),
                                 pixels.nbytes());
  }
  Synchronize(parts_.compute.device);
  result.times.decode_s = SecondsSince(begin);
}

void FluxPipeline::FreeDenoiser() {
  denoiser_.Free();
  held_ = {};
}

void FluxPipeline::Hold(const MemoryNeed& need) {
  held_.kv_cache = std::max(held_.kv_cache, need.kv_cache);
  held_.recorded = std::max(held_.recorded, need.recorded);
}

void FluxPipeline::RunStages(const ImageRequest& request, Communicator& communicator,
                             const JobHooks& hooks, JobStage& stage, int& step,
                             ImageResult& result) {
  const c10::InferenceMode inference;
  const auto begin_stage = [&](JobStage next) {
    stage = next;
    if (hooks.on_stage) hooks.on_stage(next);
  };
  begin_stage(JobStage::kMemoryPlan);
  const JobSize size = SizeOf(request, parts_.model.limits.size_multiple, communicator.size());
  const MemoryNeed need = PlanJob(size, parts_.job_memory, communicator);

  begin_stage(JobStage::kTextEncode);
  Clock::time_point begin = Clock::now();
  const int64_t available = parts_.job_memory.available_to_each(communicator.size());
  Hold(need);
  if (!parts_.text.encoders().loaded() || need.activations + held_.kept() > available) {
    FreeDenoiser();
    Hold(need);
  }
  DenoiseJob job = Prepare(request, communicator, result);
  Synchronize(parts_.compute.device);
  if (need.activations + held_.kept() + parts_.text.device_bytes() > available)
    parts_.text.Release();
  result.times.text_encode_s = SecondsSince(begin);

  begin_stage(JobStage::kDenoise);
  begin = Clock::now();
  denoiser_.Run(job, communicator, hooks, step, result.times.step_ms);
  result.times.denoise_s = SecondsSince(begin);

  begin_stage(JobStage::kVaeDecode);
  MakePictures(job.latents, request, communicator, result);
}

absl::StatusOr<ImageResult> FluxPipeline::Generate(const ImageRequest& request,
                                                   Communicator& communicator,
                                                   const JobHooks& hooks) {
  TESSERA_RETURN_IF_ERROR(CheckRequest(request, communicator.size()));
  at::set_num_threads(threads());  // of the calling thread
  GiveSignalStacks();
  const int64_t received_before = communicator.bytes_received();
  ImageResult result;
  JobStage stage = JobStage::kMemoryPlan;
  int step = 0;
  absl::Status status;
  try {
    RunStages(request, communicator, hooks, stage, step, result);
    status = CheckMappedFiles();
  } catch (...) {
    status = StatusFromCurrentException();
  }
  if (!status.ok()) {
    status = Annotate(status, stage, step, request.num_inference_steps);
    if (absl::IsResourceExhausted(status)) FreeDenoiser();
    if (!GroupStaysWholeAfter(status)) communicator.Abort(status);
    return status;
  }
  result.bytes_received = communicator.bytes_received() - received_before;
  return result;
}

}  // namespace tessera
