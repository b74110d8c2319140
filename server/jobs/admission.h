#pragma once

#include <optional>

#include "server/jobs/job_predictor.h"
#include "server/jobs/job_table.h"
#include "server/loop/clock.h"
#include "server/request/job_error.h"
#include "server/workers/worker_group.h"

namespace tessera {

// Decides which resolved jobs are admitted: there has to be a place in the line, a group that can
// form, memory for the job on each rank, and time enough before its deadline. Used on the event
// loop's thread.
class Admission {
 public:
  // All references outlive the object.
  Admission(int max_queue_length, const Clock& clock, const WorkerGroup& group,
            const JobPredictor& predictor, const JobTable& jobs)
      : max_queue_length_(max_queue_length),
        clock_(clock),
        group_(group),
        predictor_(predictor),
        jobs_(jobs) {}

  // Why a new job is refused; absent: it is admitted. `running` may be null.
  std::optional<JobError> Refusal(const Job& job, const Job* running) const;

  // The job takes more memory than a rank of the current group has. Absent while no group is
  // healthy: ask again before the job runs.
  std::optional<JobError> MemoryRefusal(const Job& job) const;

  int max_queue_length() const { return max_queue_length_; }

 private:
  std::optional<JobError> DeadlineRefusal(const Job& job) const;

  const int max_queue_length_;
  const Clock& clock_;
  const WorkerGroup& group_;
  const JobPredictor& predictor_;
  const JobTable& jobs_;
};

}  // namespace tessera
