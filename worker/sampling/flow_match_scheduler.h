#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/checkpoint.h"
#include "worker/kernels/kernel_choice.h"

namespace tessera {

enum class TimeShift { kExponential, kLinear };

// The scheduler's config of a FLUX.1 checkpoint (diffusers' FlowMatchEulerDiscreteScheduler and its
// defaults).
struct SchedulerConfig {
  int64_t num_train_timesteps = 1000;
  double shift = 1.0;                 // static shift, without dynamic shifting
  bool use_dynamic_shifting = false;  // shift by mu, which grows with the number of image tokens
  TimeShift time_shift = TimeShift::kExponential;
  double base_shift = 0.5;  // mu at base_image_seq_len tokens
  double max_shift = 1.15;  // mu at max_image_seq_len tokens
  int64_t base_image_seq_len = 256;
  int64_t max_image_seq_len = 4096;
};

// Errors: NOT_FOUND, INVALID_ARGUMENT listing every wrong field with the file's name. A switch that
// this scheduler does not have (karras sigmas, terminal shift, stochastic sampling, ...) is wrong
// when set.
absl::StatusOr<SchedulerConfig> ReadSchedulerConfig(const Checkpoint& checkpoint);

// Noise levels of one run of N steps, from 1 (pure noise) down to 0.
struct Schedule {
  double mu = 0;                 // used with dynamic shifting only
  std::vector<float> sigmas;     // N + 1; the last is 0
  std::vector<float> timesteps;  // N, num_train_timesteps * sigma
};

// steps >= 1. image_tokens counts the latent tokens of one picture.
Schedule MakeSchedule(const SchedulerConfig& config, int steps, int64_t image_tokens);

// latents += (next_sigma - sigma) * velocity, in place, rounded as diffusers rounds it: the factor
// (computed in float32) and the product to the dtype of both tensors, the sum computed in float32.
void EulerStep(at::Tensor& latents, const at::Tensor& velocity, float sigma, float next_sigma,
               KernelChoice kernels);

}  // namespace tessera
