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

std::optional<double> JobPredictor::WaitBehind(const Job* running) const {
  return running == nullptr ? 0 : Remaining(*running);
}

std::optional<double> JobPredictor::WaitBehind(const Job& job, std::optional<double> wait_s) const {
  const std::optional<Prediction> prediction = Predict(job);
  if (!wait_s.has_value() || !prediction.has_value()) return std::nullopt;
  return *wait_s + prediction->total_s;
}

std::optional<double> JobPredictor::WaitAt(size_t in_front, const JobTable::Line& line,
                                           const Job* running) const {
  const std::optional<double> behind_running_s = WaitBehind(running);
  const size_t exact = std::min<size_t>(in_front, kExactPlaces);
  std::optional<double> wait_s = behind_running_s;
  auto next = line.begin();
  for (size_t place = 0; place < exact; ++place) wait_s = WaitBehind(*(next++)->second, wait_s);
  if (!wait_s.has_value() || exact == 0) return wait_s;
  const double times = static_cast<double>(in_front) / static_cast<double>(exact);
  return *behind_running_s + times * (*wait_s - *behind_running_s);
}

double JobPredictor::ShortestWaitAtEnd(const JobTable::Line& line) const {
  double wait_s = 0;
  int places = 0;
  for (auto it = line.begin(); it != line.end() && places < kExactPlaces; ++it, ++places) {
    const std::optional<Prediction> prediction = Predict(*it->second);
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
