#include "server/jobs/admission.h"

#include <algorithm>
#include <string>

#include "common/wire/link_conversion.h"
#include "server/jobs/job_errors.h"

namespace tessera {
namespace {

constexpr double kMinRetryS = 1;
constexpr double kMaxRetryS = 60;

}  // namespace

std::optional<JobError> Admission::Refusal(const Job& job, const Job* running) const {
  if (group_.gave_up()) return NoGroup(group_.reason());
  if (jobs_.waiting() >= max_queue_length_) {
    // A place is free as soon as the running job ends.
    const double wait_s =
        running == nullptr ? 0 : predictor_.Remaining(*running).value_or(kMinRetryS);
    return QueueFull(max_queue_length_, std::clamp(wait_s, kMinRetryS, kMaxRetryS));
  }
  if (std::optional<JobError> error = MemoryRefusal(job)) return error;
  return DeadlineRefusal(job);
}

std::optional<JobError> Admission::MemoryRefusal(const Job& job) const {
  if (!group_.healthy() || !job.effective().has_value()) return std::nullopt;
  JobSize size = job.size();
  size.ranks = group_.ranks();
  const absl::Status fits = CheckFits(size, FromLinkMemory(group_.job_memory()));
  if (fits.ok()) return std::nullopt;
  return TooLargeForMemory(std::string(fits.message()));
}

std::optional<JobError> Admission::DeadlineRefusal(const Job& job) const {
  if (job.deadline() == kNever) return std::nullopt;
  const double allowed_s = SecondsBetween(clock_.Now(), job.deadline());
  if (allowed_s <= 0) return DeadlinePassed(job);
  const std::optional<Prediction> prediction = predictor_.Predict(job);
  if (!prediction.has_value() || !prediction->fastest_s.has_value()) return std::nullopt;
  const double shortest_s = predictor_.ShortestWaitAtEnd(jobs_.line()) + *prediction->fastest_s;
  if (shortest_s <= allowed_s) return std::nullopt;
  return DeadlineCannotBeMet(shortest_s, allowed_s);
}

}  // namespace tessera
