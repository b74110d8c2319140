#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/jobs/job_listener.h"

namespace tessera::testing {

// Remembers everything that a job tells. One thread uses it.
class RecordingListener final : public JobListener {
 public:
  void OnQueued(int position, std::optional<double> predicted_wait_s) override {
    positions.push_back(position);
    last_wait_s = predicted_wait_s;
  }
  void OnAttemptStarted(int attempt, int) override { attempts.push_back(attempt); }
  void OnStepDone(int step, int, std::optional<double> predicted_remaining_s) override {
    steps.push_back(step);
    last_remaining_s = predicted_remaining_s;
  }
  void OnFinished(JobResult job_result) override {
    ++finished;
    result = std::move(job_result);
  }

  const JobError* error() const { return finished > 0 ? std::get_if<JobError>(&result) : nullptr; }
  const JobSuccess* success() const {
    return finished > 0 ? std::get_if<JobSuccess>(&result) : nullptr;
  }
  // Of the error; OK when there is none, or the job goes on.
  absl::StatusCode code() const {
    return error() == nullptr ? absl::StatusCode::kOk : error()->code;
  }

  std::vector<int> positions;
  std::optional<double> last_wait_s;
  std::vector<int> attempts;
  std::vector<int> steps;
  std::optional<double> last_remaining_s;
  int finished = 0;
  JobResult result;
};

}  // namespace tessera::testing
