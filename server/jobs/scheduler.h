#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "server/jobs/job.h"
#include "server/jobs/job_predictor.h"
#include "server/jobs/job_queue.h"
#include "server/jobs/picture_encoder.h"
#include "server/jobs/request_resolver.h"
#include "server/loop/clock.h"
#include "server/workers/worker_group.h"

namespace tessera {

struct SchedulerOptions {
  int max_queue_length = 32;                // jobs that wait, besides the running one
  int64_t max_unary_reply_bytes = 4 << 20;  // gRPC clients' own default limit
  RequestDefaults defaults;
  // An interrupted job runs again until it has had so many attempts, or so long after its first
  // interruption.
  int max_attempts = 3;
  double retry_window_s = 300;
  ProgressOptions progress;
};

// Takes in jobs, hands the oldest to the group when it is free, has PNGs made of what comes back
// while the group goes on, watches deadlines, and answers each job exactly once. Used on the event
// loop's thread.
class Scheduler final : public WorkerGroup::Listener {
 public:
  // `group` outlives the scheduler. If `encoder` ends first, jobs that it encodes never end.
  Scheduler(const SchedulerOptions& options, const Clock& clock, WorkerGroup& group,
            PictureEncoder& encoder, RequestResolver::SeedSource draw_seed);

  // Admits a job or refuses it; either way the listener hears how it ends.
  void Submit(JobSpec spec, std::shared_ptr<JobListener> listener);

  // The client has left: out of a running job within a step, else at once. Nothing when the job has
  // ended.
  void Abandon(const std::string& job_id);

  // From now on jobs are refused. `drained` is called once, when the last admitted one has ended.
  void Drain(absl::AnyInvocable<void()> drained);

  // Answers a call that never becomes a job.
  void Refuse(const JobSpec& spec, JobListener& listener, JobError error);

  // Another call, with this deadline, waits for the same job.
  void ExtendDeadline(const std::string& job_id, TimePoint deadline);

  // Ends every job at once, without waiting for the group.
  void FailAll(const JobError& error);

  bool draining() const { return draining_; }
  v1::QueueDescription DescribeQueue() const;
  const v1::JobTallies& tallies() const { return tallies_; }

  // Watches deadlines.
  void OnTime(TimePoint now);
  TimePoint NextDue() const;

  void OnModelKnown(const ModelInfo& model) override;
  void OnGroupChanged() override;
  void OnStageBegun(const internal::v1::JobKey& key, JobStage stage) override;
  void OnStepDone(const internal::v1::JobKey& key, int step) override;
  void OnRunFinished(RunResult result) override;

 private:
  std::optional<JobError> Refusal(const Job& job) const;
  std::optional<JobError> DeadlineRefusal(const Job& job) const;
  // More than a rank of the current group has. None while no group is whole: Dispatch asks again.
  std::optional<JobError> MemoryRefusal(const Job& job) const;

  void Dispatch();
  // Before a run: predictions hold for one kind and number of ranks.
  void NoteGroup();
  RunRequest MakeRun(const Job& job) const;

  void Stop(JobState terminal, internal::v1::StopReason why);
  // The running job's end, by what its ranks reported.
  void FinishRunning(RunResult result);
  // A run that succeeded: the group is free, and the job's PNGs are next.
  void StartEncoding(std::unique_ptr<Job> job, RunResult result);
  void OnEncoded(const std::string& job_id, v1::GenerationMetadata metadata, TimePoint begun_at,
                 absl::StatusOr<std::vector<std::string>> pngs);
  void FinishInterrupted(std::unique_ptr<Job> job, const RunResult& result);
  // Until when an interrupted job may run again; kNever for others.
  TimePoint RetryUntil(const Job& job) const;
  void Finish(std::unique_ptr<Job> job, JobState terminal, JobResult result);
  void Tally(JobState terminal);
  void Flush(JobQueue& jobs, const JobError& error);
  // To those whose position has changed.
  void TellPositions();

  // JobPredictor's; absent, too, while no group is whole.
  std::optional<double> PredictedWait(int place) const;

  // No admitted job is left.
  bool idle() const { return running_ == nullptr && queue_.empty() && encoding_.empty(); }

  const SchedulerOptions options_;
  const Clock& clock_;
  WorkerGroup& group_;
  PictureEncoder& encoder_;
  RequestResolver resolver_;
  JobPredictor predictor_;
  JobQueue queue_;
  std::unique_ptr<Job> running_;           // kRunning or kStopping
  JobQueue encoding_;                      // while it is full, the group waits
  internal::v1::Register running_worker_;  // what its ranks have in common
  int running_ranks_ = 0;
  v1::JobTallies tallies_;
  bool draining_ = false;
  absl::AnyInvocable<void()> drained_;
};

}  // namespace tessera
