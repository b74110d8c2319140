#pragma once

#include <optional>

#include "server/jobs/cost_model.h"
#include "server/jobs/job.h"
#include "server/jobs/job_queue.h"
#include "server/loop/clock.h"
#include "server/workers/worker_group.h"
#include "tessera/internal/v1/worker_link.pb.h"

namespace tessera {

struct ProgressOptions {
  double min_limit_s = 10;          // without progress, until an epoch is ended
  double unmeasured_limit_s = 600;  // the same, before any job was measured
};

// When jobs start and end, judged by what finished ones took. Predictions are absent while
// nothing was measured. Used on the event loop's thread.
class JobPredictor {
 public:
  JobPredictor(const ProgressOptions& options, const Clock& clock)
      : options_(options), clock_(clock) {}

  // A job that has succeeded.
  void Record(const Job& job, const internal::v1::JobReport& report, double run_s);

  // The group has changed in a way that changes its speed.
  void Forget() { costs_.Forget(); }

  std::optional<Prediction> Predict(const Job& job) const;

  // Until the group is done with a running job; its PNGs take a moment more.
  std::optional<double> Remaining(const Job& running) const;

  // Until the job at this place of the queue starts, or one that would be appended. `running` may
  // be null.
  std::optional<double> WaitAt(int place, const JobQueue& queue, const Job* running) const;

  // The same, but no more than is certain: that the jobs in front take their sizes' fastest times.
  double ShortestWaitAt(int place, const JobQueue& queue) const;

  // Five times what is predicted, and never little.
  ProgressLimits LimitsOf(const Job& job) const;

 private:
  const ProgressOptions options_;
  const Clock& clock_;
  CostModel costs_;
};

}  // namespace tessera
