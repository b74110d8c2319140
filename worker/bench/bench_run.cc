#include "worker/bench/bench_run.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <chrono>
#include <thread>

#include "worker/base/status_exception.h"
#include "worker/base/status_macros.h"
#include "worker/parallel/in_process_communicator.h"
#include "worker/pipeline/compute_device.h"
#include "worker/sampling/flow_match_scheduler.h"
#include "worker/sampling/latents.h"

namespace tessera {
namespace {

// In-process ranks wait for each other at most this long.
constexpr double kTimeoutS = 600;
constexpr int kSizeMultiple = 16;  // of FLUX's VAE and packing, where no checkpoint tells

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

absl::StatusOr<std::unique_ptr<BenchSubject>> BenchSubject::Load(const BenchOptions& options) {
  if (options.kernels == CudaKernels::kFused && !CudaKernelsBuilt()) {
    return absl::InvalidArgumentError("--kernels: this build has no CUDA kernels, expected aten");
  }
  SetCudaKernels(options.kernels);
  auto subject = std::unique_ptr<BenchSubject>(new BenchSubject(options));
  if (!options.model_dir.empty()) {
    TESSERA_ASSIGN_OR_RETURN(subject->pipeline_, FluxPipeline::Load({.model_dir = options.model_dir,
                                                                     .device = options.device,
                                                                     .dtype = options.dtype,
                                                                     .threads = options.threads}));
    return subject;
  }
  TESSERA_ASSIGN_OR_RETURN(const ComputeDevice compute,
                           ResolveComputeDevice(options.device, options.dtype, options.threads));
  subject->dtype_ = compute.dtype;
  subject->device_ = compute.device;
  WeightReader weights = WeightReader::Random({.dtype = compute.dtype, .device = compute.device});
  TESSERA_ASSIGN_OR_RETURN(FluxTransformer transformer,
                           FluxTransformer::Load(options.config, std::move(weights)));
  subject->random_ = std::make_unique<FluxTransformer>(std::move(transformer));
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
  const at::TensorOptions options = at::TensorOptions().dtype(dtype_).device(device_);
  return {.latents = InitialLatents(shape, request.num_images, dtype_, request.seed).to(device_),
          .positive = transformer().Prepare(
              at::randn({1, request.max_sequence_length, c.joint_attention_dim}, options),
              at::randn({1, c.pooled_projection_dim}, options), schedule.timesteps,
              request.guidance_scale, shape.rows(), shape.columns()),
          .negative = std::nullopt,
          .sigmas = schedule.sigmas,
          .schedule = {.sync_steps = request.sync_steps, .refresh_every = request.refresh_every},
          .text_mode = request.text_mode};
}

Denoiser& BenchSubject::denoiser(int rank) {
  while (denoisers_.size() <= static_cast<size_t>(rank)) {
    denoisers_.push_back(std::make_unique<Denoiser>(transformer()));
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
  begin = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        const c10::InferenceMode inference_of_thread;
        at::set_num_threads(options_.threads);
        DenoiseJob mine = job;
        mine.latents = job.latents.clone();
        int step = 0;
        std::vector<double> step_ms;
        try {
          denoiser(rank).Run(mine, *group[rank], {}, step, step_ms);
        } catch (const StatusException& e) {
          statuses[rank] = e.status();
        } catch (const std::exception& e) {
          statuses[rank] = absl::InternalError(e.what());
          group[rank]->Abort(statuses[rank]);
        }
        if (rank == 0) {
          run.latents = mine.latents;
          run.times.step_ms = step_ms;
        }
      });
    }
  }
  run.times.denoise_s = SecondsSince(begin);
  for (const absl::Status& status : statuses) TESSERA_RETURN_IF_ERROR(status);
  run.bytes_received = group[0]->bytes_received();
  if (!pipeline_) return run;

  begin = std::chrono::steady_clock::now();
  const at::Tensor image =
      pipeline_->Decode(run.latents, options_.request.height, options_.request.width).to(at::kCPU);
  run.times.decode_s = SecondsSince(begin);
  begin = std::chrono::steady_clock::now();
  pipeline_->EncodePngs(image, options_.request, ranks, result);
  run.times.png_s = SecondsSince(begin);
  return run;
}

}  // namespace tessera
