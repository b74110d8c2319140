#include "server/jobs/cost_model.h"

#include <algorithm>

namespace tessera {
namespace {

constexpr size_t kMaxSizes = 256;
constexpr int kCertainRuns = 2;  // the first one may have had to warm up
constexpr double kCertainForS = 600;
constexpr double kNewShare = 0.5;  // of a new measurement in the running mean
// Rows at which attention, which grows as their square, takes as long as all that grows linearly:
// about FLUX's own ratio. Only sizes that were never measured depend on it.
constexpr double kRowsOfEqualCost = 16384;

double Mean(double old_s, double new_s) { return old_s + kNewShare * (new_s - old_s); }

// Of one step, in units that scale as the transformer's time does: rows, and rows squared.
double WorkPerStep(const JobSize& size) {
  const double rows = static_cast<double>(size.image_tokens + size.text_tokens);
  const double passes = size.true_cfg ? 2 : 1;
  return static_cast<double>(size.images) * passes * rows * (1 + rows / kRowsOfEqualCost);
}

double Pixels(const JobSize& size) {
  return static_cast<double>(size.width) * static_cast<double>(size.height) *
         static_cast<double>(size.images);
}

// All of a size but its number of steps, which a step's time does not depend on.
JobSize OfOneStep(JobSize size) {
  size.steps = 1;
  return size;
}

}  // namespace

void CostModel::Record(const JobSize& size, const internal::v1::JobReport& report, double run_s,
                       TimePoint now) {
  const Stages taken = {
      .text_encode = report.text_encode_s(),
      .step = report.denoise_s() / static_cast<double>(size.steps),
      .finish = std::max(0.0, run_s - report.text_encode_s() - report.denoise_s())};
  if (measured_.size() >= kMaxSizes) measured_.clear();
  auto [it, is_new] = measured_.try_emplace(
      OfOneStep(size), Measured{.mean = taken, .fastest = taken, .latest = now});
  Measured& known = it->second;
  if (!is_new) {
    known.mean = {.text_encode = Mean(known.mean.text_encode, taken.text_encode),
                  .step = Mean(known.mean.step, taken.step),
                  .finish = Mean(known.mean.finish, taken.finish)};
    known.fastest = {.text_encode = std::min(known.fastest.text_encode, taken.text_encode),
                     .step = std::min(known.fastest.step, taken.step),
                     .finish = std::min(known.fastest.finish, taken.finish)};
  }
  ++known.runs;
  known.latest = now;
  latest_size_ = size;
  latest_ = known.mean;
}

std::optional<Prediction> CostModel::Predict(const JobSize& size, TimePoint now) const {
  if (!latest_size_.has_value()) return std::nullopt;
  Stages stages = latest_;
  std::optional<double> fastest_s;
  const auto it = measured_.find(OfOneStep(size));
  if (it != measured_.end()) {
    const Measured& known = it->second;
    stages = known.mean;
    const bool recent = now - known.latest <= Seconds(kCertainForS);
    if (known.runs >= kCertainRuns && recent) fastest_s = known.fastest.Total(size.steps);
  } else {
    stages.step *= WorkPerStep(size) / WorkPerStep(*latest_size_);
    stages.finish *= Pixels(size) / Pixels(*latest_size_);
  }
  return Prediction{.text_encode_s = stages.text_encode,
                    .step_s = stages.step,
                    .finish_s = stages.finish,
                    .total_s = stages.Total(size.steps),
                    .fastest_s = fastest_s};
}

void CostModel::Forget() {
  measured_.clear();
  latest_size_.reset();
}

}  // namespace tessera
