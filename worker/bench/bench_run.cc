#include "worker/bench/bench_run.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <chrono>
#include <span>
#include <string>
#include <thread>

#include "common/base/seconds_since.h"
#include "common/base/status_macros.h"
#include "common/png/png.h"
#include "worker/base/exception_status.h"
#include "worker/base/status_exception.h"
#include "worker/comm/in_process_communicator.h"
#include "worker/pipeline/compute_device.h"
#include "worker/sampling/flow_match_scheduler.h"
#include "worker/sampling/latents.h"

namespace tessera {
namespace {

// In-process ranks wait for each other at most this long.
constexpr double kTimeoutS = 600;
constexpr int kSizeMultiple = 16;  // of FLUX's VAE and packing, where no checkpoint tells

VaeConfig FluxVaeSizes() {
  return {.block_out_channels = {128, 256, 512, 512},
          .layers_per_block = 2,
          .latent_channels = 16,
          .norm_num_groups = 32,
          .scaling_factor = 0.3611,
          .shift_factor = 0.1159,
          .use_post_quant_conv = false};
}

absl::Status CheckKernels(const BenchOptions& options, at::Device device) {
  if (options.kernels.cuda_kernels == CudaKernels::kFused && !CudaKernelsBuilt()) {
    return absl::InvalidArgumentError("--kernels: this build has no CUDA kernels, expected aten");
  }
  if (options.attention != Attention::kAuto && device.is_cpu()) {
    return absl::InvalidArgumentError("--attention: the CPU has no such kernel, expected auto");
  }
  if (options.kernels.gemm != Gemm::kAten && device.is_cpu()) {
    return absl::InvalidArgumentError("--gemm: the CPU has no cuBLASLt, expected aten");
  }
  if (options.kernels.step_graphs != StepGraphs::kOff && (device.is_cpu() || !CudaKernelsBuilt())) {
    return absl::InvalidArgumentError(
        "--step-graphs: none on the CPU and in this build, expected off");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<BenchSubject>> BenchSubject::Load(const BenchOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(const ComputeDevice compute,
                           ResolveComputeDevice(options.device, options.dtype, options.threads));
  TESSERA_RETURN_IF_ERROR(CheckKernels(options, compute.device));
  SetAttention(options.attention);
  auto subject = std::unique_ptr<BenchSubject>(new BenchSubject(options));
  subject->compute_ = compute;
  if (!options.model_dir.empty()) {
    TESSERA_ASSIGN_OR_RETURN(subject->pipeline_, FluxPipeline::Load({.model_dir = options.model_dir,
                                                                     .device = options.device,
                                                                     .dtype = options.dtype,
                                                                     .threads = options.threads,
                                                                     .kernels = options.kernels}));
    return subject;
  }
  WeightReader weights = WeightReader::Random({.dtype = compute.dtype, .device = compute.device});
  TESSERA_ASSIGN_OR_RETURN(
      FluxTransformer transformer,
      FluxTransformer::Load(options.config, std::move(weights), compute.fp8, options.kernels));
  subject->random_ = std::make_unique<FluxTransformer>(std::move(transformer));
  if (options.vae) {
    TESSERA_ASSIGN_OR_RETURN(
        VaeDecoder vae,
        VaeDecoder::Load(FluxVaeSizes(),
                         WeightReader::Random({.dtype = compute.dtype, .device = compute.device}),
                         options.kernels));
    subject->random_vae_ = std::make_unique<VaeDecoder>(std::move(vae));
  }
  return subject;
}

DenoiseJob BenchSubject::MakeJob(ImageResult& result) const {
  if (pipeline_) return pipeline_->Prepare(options_.request, result);
  const ImageRequest& request = options_.request;
  const FluxConfig& c = config();
  const LatentShape shape =
      LatentShapeOf(request.width, request.height, c.in_channels / 4, kSizeMultiple / 2);
  const Schedule schedule =
      MakeSchedule({.use_dynamic_shifting = true}, request.num_inference_steps, shape.tokens());
  const at::TensorOptions options =
      at::TensorOptions().dtype(compute_.dtype).device(compute_.device);
  return {.latents = InitialLatents(shape, request.num_images, compute_.dtype, request.seed)
                         .to(compute_.device),
          .positive = transformer().Prepare(
              at::randn({1, request.max_sequence_length, c.joint_attention_dim}, options),
              at::randn({1, c.pooled_projection_dim}, options), schedule.timesteps,
              request.guidance_scale, shape.rows(), shape.columns()),
          .negative = std::nullopt,
          .sigmas = schedule.sigmas,
          .schedule = {.sync_steps = request.sync_steps, .refresh_every = request.refresh_every},
          .text_mode = request.text_mode};
}

SteadyStep BenchSubject::MakeSteadyStep() {
  at::set_num_threads(options_.threads);
  at::manual_seed(1);
  ImageResult ignored;
  return SteadyStep(transformer(), MakeJob(ignored), MakeDenoiseOptions());
}

DenoiseOptions BenchSubject::MakeDenoiseOptions() {
  recorders_.push_back(MakeGraphRecorder(compute_.device, options_.kernels));
  return {.recorder = recorders_.back().get(), .kv_storage = compute_.kv_storage};
}

Denoiser& BenchSubject::denoiser(int rank) {
  while (denoisers_.size() <= static_cast<size_t>(rank)) {
    denoisers_.push_back(std::make_unique<Denoiser>(transformer(), MakeDenoiseOptions()));
  }
  return *denoisers_[rank];
}

absl::StatusOr<BenchRun> BenchSubject::Run(int ranks) {
  const c10::InferenceMode inference;
  at::set_num_threads(options_.threads);
  at::manual_seed(1);
  BenchRun run;
  ImageResult result;
  auto begin = std::chrono::steady_clock::now();
  const DenoiseJob job = MakeJob(result);
  Synchronize(job.latents.device());
  run.times.text_encode_s = SecondsSince(begin);

  denoiser(ranks - 1);
  const auto group = InProcessCommunicator::MakeGroup(ranks, kTimeoutS);
  std::vector<absl::Status> statuses(ranks);
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        BenchRun other;
        try {
          RunRank(job, *group[rank], rank == 0 ? run : other);
        } catch (...) {
          statuses[rank] = StatusFromCurrentException();
        }
        if (!statuses[rank].ok()) group[rank]->Abort(statuses[rank]);
      });
    }
  }
  for (const absl::Status& status : statuses) TESSERA_RETURN_IF_ERROR(status);
  return run;
}

void BenchSubject::RunRank(const DenoiseJob& job, Communicator& communicator, BenchRun& run) {
  const c10::InferenceMode inference;
  at::set_num_threads(options_.threads);
  DenoiseJob mine = job;
  mine.latents = job.latents.clone();
  int step = 0;
  auto begin = std::chrono::steady_clock::now();
  denoiser(communicator.rank()).Run(mine, communicator, {}, step, run.times.step_ms);
  run.times.denoise_s = SecondsSince(begin);
  run.latents = mine.latents;
  run.bytes_received = communicator.bytes_received();

  if (pipeline_) {
    ImageResult result;
    pipeline_->MakePictures(mine.latents, options_.request, communicator, result);
    run.times.decode_s = result.times.decode_s;
    begin = std::chrono::steady_clock::now();
    for (const std::string& picture : result.pictures) {
      const std::span rgb(reinterpret_cast<const uint8_t*>(picture.data()), picture.size());
      ThrowIfError(
          EncodePng(rgb, options_.request.width, options_.request.height, /*text=*/{}).status());
    }
    run.png_s = SecondsSince(begin);
  } else if (random_vae_) {
    const VaeConfig& vae = random_vae_->config();
    const LatentShape shape = LatentShapeOf(options_.request.width, options_.request.height,
                                            vae.latent_channels, vae.pixel_scale());
    begin = std::chrono::steady_clock::now();
    for (const at::Tensor& one : UnpackLatents(mine.latents, shape).split(1)) {
      random_vae_->DecodeRgb8(one, communicator);
    }
    Synchronize(compute_.device);
    run.times.decode_s = SecondsSince(begin);
  }
}

}  // namespace tessera
