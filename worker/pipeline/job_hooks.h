#pragma once

#include <atomic>
#include <functional>

#include "absl/status/status.h"
#include "common/job/job_stage.h"

namespace tessera {

// Why a job should stop, as the control plane carries it; the largest over the ranks wins.
enum class StopReason : int { kNone = 0, kCancelled = 1, kDeadline = 2 };

// What a running job tells its caller, and what the caller tells the job. All members may be empty.
struct JobHooks {
  // When a stage begins.
  std::function<void(JobStage stage)> on_stage;
  // After step `step` (0-based) of `steps`. A non-OK status is this rank's own failure: the group
  // is aborted with it.
  std::function<absl::Status(int step, int steps)> on_step;
  // Read once per step, on the way into the vote; any thread may set it. Null: never stops.
  const std::atomic<StopReason>* stop = nullptr;
};

// Whether the group goes on after a job has ended with this status on this rank. It does after
// errors that all ranks found alike before they exchanged anything, and after a vote to stop: the
// ranks still agree on where they are.
inline bool GroupStaysWholeAfter(const absl::Status& status) {
  return status.ok() || absl::IsInvalidArgument(status) || absl::IsOutOfRange(status) ||
         absl::IsCancelled(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace tessera
