#include "server/jobs/job_predictor.h"

#include <algorithm>

namespace tessera {
namespace {

constexpr double kProgressFactor = 5;  // of the predicted time, until a job counts as hung

}  // namespace

void JobPredictor::Record(const Job& job, const internal::v1::JobReport& report, double run_s) {
  costs_.Record(job.size(), report, run_s, clock_.Now());
}

std::optional<Prediction> JobPredictor::Predict(const Job& job) const {
  if (!job.effective().has_value()) return std::nullopt;
  return costs_.Predict(job.size(), clock_.Now());
}

std::optional<double> JobPredictor::Remaining(const Job& running) const {
  const std::optional<Prediction> prediction = Predict(running);
  if (!prediction.has_value()) return std::nullopt;
  const int steps_done = running.attempt().steps_done;
  const int steps_left = running.effective()->num_inference_steps() - steps_done;
  const double text_encode_s = steps_done == 0 ? prediction->text_encode_s : 0;
  return text_encode_s + steps_left * prediction->step_s + prediction->finish_s;
}

std::optional<double> JobPredictor::WaitAt(int place, const JobQueue& queue,
                                           const Job* running) const {
  double wait_s = 0;
  if (running != nullptr) {
    const std::optional<double> remaining_s = Remaining(*running);
    if (!remaining_s.has_value()) return std::nullopt;
    wait_s = *remaining_s;
  }
  for (int i = 0; i < place; ++i) {
    const std::optional<Prediction> prediction = Predict(queue.at(i));
    if (!prediction.has_value()) return std::nullopt;
    wait_s += prediction->total_s;
  }
  return wait_s;
}

double JobPredictor::ShortestWaitAt(int place, const JobQueue& queue) const {
  double wait_s = 0;
  for (int i = 0; i < place; ++i) {
    const std::optional<Prediction> prediction = Predict(queue.at(i));
    if (prediction.has_value()) wait_s += prediction->fastest_s.value_or(0);
  }
  return wait_s;
}

ProgressLimits JobPredictor::LimitsOf(const Job& job) const {
  const std::optional<Prediction> prediction = Predict(job);
  if (!prediction.has_value()) {
    const double limit_s = options_.unmeasured_limit_s;
    return {.first_step_s = limit_s, .step_s = limit_s, .finish_s = limit_s};
  }
  const auto limit_s = [&](double predicted_s) {
    return std::max(options_.min_limit_s, kProgressFactor * predicted_s);
  };
  return {.first_step_s = limit_s(prediction->text_encode_s + prediction->step_s),
          .step_s = limit_s(prediction->step_s),
          .finish_s = limit_s(prediction->finish_s)};
}

}  // namespace tessera
