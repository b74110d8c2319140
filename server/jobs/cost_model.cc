#include "server/jobs/cost_model.h"

#include <algorithm>

namespace tessera {
namespace {

constexpr size_t kMaxShapes = 256;
constexpr int kCertainRuns = 2;  // the first one may have had to warm up
constexpr double kCertainForS = 600;
constexpr double kNewShare = 0.5;         // of a new measurement in the running mean
constexpr int kPixelsPerToken = 16 * 16;  // of FLUX: VAE scale 8, patches of 2 x 2
// Rows at which attention, which grows as their square, takes as long as all that grows linearly:
// about FLUX's own ratio. Only shapes that were never measured depend on it.
constexpr double kRowsOfEqualCost = 16384;

double Mean(double old_s, double new_s) { return old_s + kNewShare * (new_s - old_s); }

}  // namespace

JobShape JobShape::Of(const v1::GenerateImageRequest& effective) {
  const bool true_cfg = effective.true_cfg_scale() > 1 && effective.has_negative_prompt();
  return {.width = effective.width(),
          .height = effective.height(),
          .num_images = effective.num_images(),
          .passes = true_cfg ? 2 : 1,
          .max_sequence_length = effective.max_sequence_length(),
          .replicated_text = effective.text_mode() == v1::TEXT_MODE_REPLICATED,
          .sync_steps = effective.sync_steps(),
          .refresh_every = effective.refresh_every(),
          .steps = effective.num_inference_steps()};
}

double JobShape::WorkPerStep() const {
  const double rows = static_cast<double>(width) * height / kPixelsPerToken + max_sequence_length;
  return num_images * passes * rows * (1 + rows / kRowsOfEqualCost);
}

CostModel::Key CostModel::KeyOf(const JobShape& shape) {
  return {shape.width,  shape.height,          shape.num_images, shape.max_sequence_length,
          shape.passes, shape.replicated_text, shape.sync_steps, shape.refresh_every};
}

void CostModel::Record(const JobShape& shape, const internal::v1::JobReport& report, double run_s,
                       TimePoint now) {
  const Stages taken = {
      .text_encode = report.text_encode_s(),
      .step = report.denoise_s() / shape.steps,
      .finish = std::max(0.0, run_s - report.text_encode_s() - report.denoise_s())};
  if (measured_.size() >= kMaxShapes) measured_.clear();
  auto [it, is_new] =
      measured_.try_emplace(KeyOf(shape), Measured{.mean = taken, .fastest = taken, .latest = now});
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
  latest_shape_ = shape;
  latest_ = known.mean;
}

std::optional<Prediction> CostModel::Predict(const JobShape& shape, TimePoint now) const {
  if (!latest_shape_.has_value()) return std::nullopt;
  Stages stages = latest_;
  std::optional<double> fastest_s;
  const auto it = measured_.find(KeyOf(shape));
  if (it != measured_.end()) {
    const Measured& known = it->second;
    stages = known.mean;
    const bool recent = now - known.latest <= Seconds(kCertainForS);
    if (known.runs >= kCertainRuns && recent) fastest_s = known.fastest.Total(shape.steps);
  } else {
    stages.step *= shape.WorkPerStep() / latest_shape_->WorkPerStep();
    stages.finish *= shape.Pixels() / latest_shape_->Pixels();
  }
  return Prediction{.text_encode_s = stages.text_encode,
                    .step_s = stages.step,
                    .finish_s = stages.finish,
                    .total_s = stages.Total(shape.steps),
                    .fastest_s = fastest_s};
}

void CostModel::Forget() {
  measured_.clear();
  latest_shape_.reset();
}

}  // namespace tessera
