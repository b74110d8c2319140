#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "server/clock.h"
#include "server/cost_model.h"
#include "server/job.h"
#include "server/job_queue.h"
#include "server/validation.h"
#include "server/worker_group.h"

namespace tessera {

struct SchedulerOptions {
  int max_queue_length = 32;                // jobs that wait, besides the running one
  int64_t max_unary_reply_bytes = 4 << 20;  // gRPC clients' own default limit
  RequestDefaults defaults;
  int max_attempts = 1;                      // of a job whose epoch ended by no fault of its own
  double min_progress_limit_s = 10;          // without progress, until an epoch is ended
  double unmeasured_progress_limit_s = 600;  // the same, before any job was measured
};

// Takes in jobs, hands the oldest to the group when it is free, watches deadlines, and answers each
// job exactly once. Used on the event loop's thread.
class Scheduler final : public WorkerGroup::Listener {
 public:
  using SeedSource = absl::AnyInvocable<uint32_t()>;

  // `group` outlives the scheduler.
  Scheduler(const SchedulerOptions& options, const Clock& clock, WorkerGroup& group,
            SeedSource draw_seed);

  // Admits a job or refuses it; either way the listener hears how it ends.
  void Submit(JobSpec spec, std::shared_ptr<JobListener> listener);

  // The client has left: out of the queue at once, out of a running job within a step. Nothing when
  // the job has ended.
  void Abandon(const std::string& job_id);

  // From now on jobs are refused. `drained` is called once, when the last admitted one has ended.
  void Drain(absl::AnyInvocable<void()> drained);

  // Ends every job at once, without waiting for the group.
  void FailAll(const JobError& error);

  bool draining() const { return draining_; }
  const std::optional<ModelInfo>& model() const { return model_; }
  v1::QueueDescription DescribeQueue() const;

  // Watches deadlines.
  void OnTime(TimePoint now);
  TimePoint NextDue() const;

  void OnModelKnown(const ModelInfo& model) override;
  void OnGroupChanged() override;
  void OnStepDone(const internal::v1::JobKey& key, int step) override;
  void OnRunFinished(RunResult result) override;

 private:
  struct Wait {
    double seconds = 0;
    bool certain = true;  // every job that is waited for has a shape that was measured
  };

  std::optional<JobError> Refusal(const Job& job) const;
  // Fills in defaults, or says what is wrong with the request.
  std::optional<JobError> Resolve(Job& job);
  std::optional<JobError> DeadlineRefusal(const Job& job) const;

  void Dispatch();
  RunRequest MakeRun(const Job& job) const;
  ProgressLimits LimitsOf(const std::optional<Prediction>& prediction) const;

  void Stop(JobState terminal, internal::v1::StopReason why);
  // The running job's end, by what its ranks reported.
  void FinishRunning(RunResult result);
  JobSuccess SuccessOf(const Job& job, RunResult result) const;
  void Finish(std::unique_ptr<Job> job, JobState terminal, JobResult result);
  void FlushQueue(const JobError& error);
  // To those whose position has changed.
  void TellPositions();

  std::optional<Prediction> Predict(const Job& job) const;
  // Until the job at this place of the queue starts, or one that would be appended. Absent while
  // nothing was measured, or no group is whole.
  std::optional<Wait> PredictedWait(int place) const;
  std::optional<double> PredictedRemaining(const Job& running) const;

  const SchedulerOptions options_;
  const Clock& clock_;
  WorkerGroup& group_;
  SeedSource draw_seed_;
  std::optional<ModelInfo> model_;
  CostModel costs_;
  JobQueue queue_;
  std::unique_ptr<Job> running_;           // kRunning or kStopping
  internal::v1::Register running_worker_;  // what its ranks have in common
  bool draining_ = false;
  absl::AnyInvocable<void()> drained_;
};

}  // namespace tessera
