#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/golden.h"
#include "tests/support/rank_threads.h"
#include "worker/comm/in_process_communicator.h"
#include "worker/pipeline/flux_pipeline.h"

namespace tessera::testing {

inline std::unique_ptr<FluxPipeline> LoadPipeline(const std::string& dir,
                                                  const std::string& dtype = "float32",
                                                  const std::string& device = "cpu",
                                                  KernelChoice kernels = {}) {
  absl::StatusOr<std::unique_ptr<FluxPipeline>> pipeline = FluxPipeline::Load(
      {.model_dir = dir, .device = device, .dtype = dtype, .threads = 1, .kernels = kernels});
  if (!pipeline.ok()) ADD_FAILURE() << pipeline.status();
  return *std::move(pipeline);
}

// The latents after each step [steps, B, L, C], and the velocities.
struct RunTrail {
  at::Tensor latents, velocities;
};

// Denoises one job as one rank.
inline RunTrail Denoise(Denoiser& denoiser, DenoiseJob job, Communicator& communicator) {
  const c10::InferenceMode inference;
  std::vector<at::Tensor> latents, velocities;
  int step = 0;
  std::vector<double> step_ms;
  denoiser.Run(job, communicator, {}, step, step_ms,
               [&](int, const at::Tensor& after, const at::Tensor& velocity) {
                 latents.push_back(after.clone());
                 velocities.push_back(velocity.clone());
               });
  return {at::stack(latents), at::stack(velocities)};
}
inline RunTrail Denoise(FluxPipeline& pipeline, DenoiseJob job, Communicator& communicator) {
  return Denoise(pipeline.denoiser(), std::move(job), communicator);
}

inline DenoiseJob Prepare(FluxPipeline& pipeline, const ImageRequest& request) {
  const c10::InferenceMode inference;
  ImageResult ignored;
  return pipeline.Prepare(request, ignored);
}

// The settings of run/dev_64x64, which the other golden runs vary.
inline ImageRequest DevRequest() {
  return {.prompt = Prompts()[0],
          .width = 64,
          .height = 64,
          .num_inference_steps = 6,
          .guidance_scale = 3.5,
          .max_sequence_length = 50,
          .seed = 42};
}

// The communicators of `ranks` threads.
inline std::vector<std::unique_ptr<Communicator>> InProcessGroup(int ranks) {
  std::vector<std::unique_ptr<Communicator>> group;
  for (auto& communicator : InProcessCommunicator::MakeGroup(ranks, /*timeout_s=*/60)) {
    group.push_back(std::move(communicator));
  }
  return group;
}

// The request of the rot/ golden runs.
inline ImageRequest RotatingRequest() {
  ImageRequest request = DevRequest();
  request.height = 80;
  request.width = 112;
  request.num_inference_steps = 8;
  request.seed = 7;
  return request;
}

// Runs the request on `ranks` in-process ranks and checks that all of them hold the same latents.
inline RunTrail RunGroup(int ranks, const ImageRequest& request, const std::string& device = "cpu",
                         KernelChoice kernels = {}) {
  std::vector<std::unique_ptr<FluxPipeline>> pipelines;
  for (int rank = 0; rank < ranks; ++rank)
    pipelines.push_back(LoadPipeline(TinyFluxDir(), "float32", device, kernels));
  const auto group = InProcessGroup(ranks);
  const std::vector<RunTrail> trails = RunRanks(group, [&](Communicator& communicator) {
    FluxPipeline& pipeline = *pipelines[communicator.rank()];
    return Denoise(pipeline, Prepare(pipeline, request), communicator);
  });
  for (const RunTrail& trail : trails) EXPECT_TRUE(at::equal(trail.latents, trails[0].latents));
  return trails[0];
}

// The latents of rank 0 after each run, of requests that one group runs one after another. Each
// rank has the recorder that `make_recorder(rank)` returns, or none for null.
using MakeRecorder = std::function<std::unique_ptr<GraphRecorder>(int rank)>;
inline std::vector<at::Tensor> RunSeries(int ranks, const std::vector<ImageRequest>& requests,
                                         const MakeRecorder& make_recorder,
                                         const std::string& device = "cpu",
                                         KvStorage kv_storage = KvStorage::kAsComputed,
                                         KernelChoice kernels = {}) {
  const auto pipeline = LoadPipeline(TinyFluxDir(), "float32", device, kernels);
  std::vector<DenoiseJob> jobs;
  for (const ImageRequest& request : requests) jobs.push_back(Prepare(*pipeline, request));
  return RunRanks(InProcessGroup(ranks), [&](Communicator& communicator) {
    const auto recorder = make_recorder(communicator.rank());
    Denoiser denoiser(pipeline->transformer(), {recorder.get(), kv_storage});
    std::vector<at::Tensor> latents;
    for (DenoiseJob job : jobs) {
      const c10::InferenceMode inference;
      job.latents = job.latents.clone();
      latents.push_back(Denoise(denoiser, std::move(job), communicator).latents[-1]);
    }
    return latents;
  })[0];
}

}  // namespace tessera::testing
