#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/request/job_error.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// What a job made.
struct JobSuccess {
  std::vector<std::string> pngs;
  v1::GenerationMetadata metadata;
};

using JobResult = std::variant<JobSuccess, JobError>;

// Whoever waits for a job. Called on the event loop's thread; never blocks. OnFinished is called
// exactly once, and last, for refused requests too.
class JobListener {
 public:
  virtual ~JobListener() = default;

  // `position` jobs are in front. The wait is absent while nothing was measured.
  virtual void OnQueued(int position, std::optional<double> predicted_wait_s) = 0;

  // 1-based. Progress starts over.
  virtual void OnAttemptStarted(int attempt, int ranks) = 0;

  // `step` is 1-based.
  virtual void OnStepDone(int step, int steps, std::optional<double> predicted_remaining_s) = 0;

  virtual void OnFinished(JobResult result) = 0;
};

}  // namespace tessera
