#include "worker/sampling/flow_match_scheduler.h"

#include <ATen/ATen.h>

#include <cmath>

#include "common/base/json_fields.h"
#include "common/base/status_macros.h"
#include "worker/kernels/euler_update.h"

namespace tessera {
namespace {

constexpr int64_t kMaxTokens = int64_t{1} << 32;

void RejectUnknownSwitches(const nlohmann::json& json, JsonFields& fields) {
  for (const auto& [name, value] : json.items()) {
    if (value.is_boolean() && value.get<bool>() && name != "use_dynamic_shifting") {
      fields.Problem(Quote(name), "this switch is not supported, expected false");
    }
  }
  if (fields.Number("shift_terminal", 0.0) != 0.0) {
    fields.Problem("shift_terminal", "not supported, expected null");
  }
}

// numpy.linspace(1, 1 / steps, steps), rounded to float32.
std::vector<float> UnshiftedSigmas(int steps) {
  std::vector<float> sigmas(steps, 1.0F);
  const double last = 1.0 / steps;
  for (int i = 1; i < steps; ++i) {
    const double sigma = i + 1 == steps ? last : i * ((last - 1.0) / (steps - 1)) + 1.0;
    sigmas[i] = static_cast<float>(sigma);
  }
  return sigmas;
}

}  // namespace

absl::StatusOr<SchedulerConfig> ReadSchedulerConfig(const Checkpoint& checkpoint) {
  TESSERA_ASSIGN_OR_RETURN(const JsonFile file, checkpoint.Config(Part::kScheduler));
  JsonFields fields(file.path, file.object);
  SchedulerConfig config;
  fields.Choice("_class_name", {"FlowMatchEulerDiscreteScheduler"});
  config.num_train_timesteps = fields.Int("num_train_timesteps", 1, 1'000'000, 1000);
  config.shift = fields.Number("shift", config.shift);
  config.use_dynamic_shifting = fields.Bool("use_dynamic_shifting", false);
  if (fields.Choice("time_shift_type", {"exponential", "linear"}, "exponential") == "linear") {
    config.time_shift = TimeShift::kLinear;
  }
  config.base_shift = fields.Number("base_shift", config.base_shift);
  config.max_shift = fields.Number("max_shift", config.max_shift);
  config.base_image_seq_len = fields.Int("base_image_seq_len", 0, kMaxTokens, 256);
  config.max_image_seq_len = fields.Int("max_image_seq_len", 0, kMaxTokens, 4096);
  if (config.shift <= 0) fields.Problem("shift", "expected more than 0");
  if (config.use_dynamic_shifting && config.base_image_seq_len == config.max_image_seq_len) {
    fields.Problem("max_image_seq_len", "expected another value than base_image_seq_len");
  }
  RejectUnknownSwitches(file.object, fields);
  TESSERA_RETURN_IF_ERROR(fields.Finish());
  return config;
}

Schedule MakeSchedule(const SchedulerConfig& config, int steps, int64_t image_tokens) {
  Schedule schedule;
  const double slope = (config.max_shift - config.base_shift) /
                       static_cast<double>(config.max_image_seq_len - config.base_image_seq_len);
  const double offset = config.base_shift - slope * static_cast<double>(config.base_image_seq_len);
  schedule.mu = static_cast<double>(image_tokens) * slope + offset;

  const bool exponential = config.time_shift == TimeShift::kExponential;
  const auto dynamic = static_cast<float>(exponential ? std::exp(schedule.mu) : schedule.mu);
  const auto shift = static_cast<float>(config.shift);
  const auto shift_less_one = static_cast<float>(config.shift - 1.0);
  const auto train_timesteps = static_cast<float>(config.num_train_timesteps);

  schedule.sigmas = UnshiftedSigmas(steps);
  for (float& sigma : schedule.sigmas) {
    sigma = config.use_dynamic_shifting ? dynamic / (dynamic + (1.0F / sigma - 1.0F))
                                        : shift * sigma / (1.0F + shift_less_one * sigma);
    schedule.timesteps.push_back(sigma * train_timesteps);
  }
  schedule.sigmas.push_back(0.0F);
  return schedule;
}

void EulerStep(at::Tensor& latents, const at::Tensor& velocity, float sigma, float next_sigma,
               KernelChoice kernels) {
  EulerUpdate(latents, velocity, next_sigma - sigma, kernels);
}

}  // namespace tessera
