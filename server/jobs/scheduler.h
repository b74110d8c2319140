#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "server/jobs/admission.h"
#include "server/jobs/job.h"
#include "server/jobs/job_observer.h"
#include "server/jobs/job_predictor.h"
#include "server/jobs/job_table.h"
#include "server/jobs/picture_encoder.h"
#include "server/jobs/position_teller.h"
#include "server/jobs/request_resolver.h"
#include "server/jobs/retry_policy.h"
#include "server/loop/clock.h"
#include "server/workers/worker_group.h"

namespace tessera {

struct SchedulerOptions {
  int max_queue_length = 32;  // jobs that wait, besides the running one
  RequestDefaults defaults;
  RetryOptions retry;
  ProgressOptions progress;
};

// Admits jobs, hands the oldest to the group when the group is free, has PNGs made of the pictures
// while the group goes on, watches deadlines, and answers each job exactly once. Used on the event
// loop's thread.
class Scheduler final : public WorkerGroup::Listener {
 public:
  // All references outlive the scheduler; an encoder that does not must never call `done`.
  Scheduler(const SchedulerOptions& options, const Clock& clock, WorkerGroup& group,
            PictureEncoder& encoder, JobObserver& observer, RequestResolver::SeedSource draw_seed);

  // Admits a job or refuses it; either way the listener hears how the job ends.
  void Submit(JobSpec spec, std::shared_ptr<JobListener> listener);

  // The client has left. A running job ends within a step, any other job at once. Does nothing when
  // the job has ended.
  void Cancel(const std::string& job_id);

  // From now on jobs are refused. `drained` is called once, when the last admitted job has ended.
  void Drain(absl::AnyInvocable<void()> drained);

  // Answers a call that never becomes a job.
  void Refuse(const JobSpec& spec, JobListener& listener, JobError error);

  // Another call, with this deadline, waits for the same job.
  void ExtendDeadline(const std::string& job_id, TimePoint deadline);

  // Ends every job at once, without waiting for the group.
  void FailAll(const JobError& error);

  bool draining() const { return draining_; }
  v1::QueueDescription DescribeQueue() const;

  // Watches deadlines.
  void OnTime(TimePoint now);
  TimePoint NextDue() const;

  void OnModelKnown(const ModelInfo& model) override;
  void OnGroupChanged() override;
  void OnStageBegun(const internal::v1::JobKey& key, JobStage stage) override;
  void OnStepDone(const internal::v1::JobKey& key, int step) override;
  void OnRunFinished(RunResult result) override;

 private:
  // Hands the first job of the line that may run to a free group.
  void Dispatch();
  void Start(Job& job);
  // Before a run: predictions hold for one kind and number of ranks.
  void NoteGroup();
  RunRequest MakeRun(const Job& job) const;

  // Before its end: the group leaves the running job in its next vote.
  void CancelRunning(JobState terminal, internal::v1::StopReason why);
  // The running job's end, by what its ranks reported.
  void FinishRunning(RunResult result);
  void FinishInterrupted(Job& job, const RunResult& result);
  // A run that succeeded: the group is free, and the job's PNGs are next.
  void StartEncoding(Job& job, RunResult result);
  void OnEncoded(const std::string& job_id, v1::GenerationMetadata metadata, TimePoint begun_at,
                 absl::StatusOr<std::vector<std::string>> pngs);
  void Fail(Job& job, JobError error) { Finish(job, JobState::kFailed, std::move(error)); }
  void Finish(Job& job, JobState terminal, JobResult result);
  // Every job that waits.
  void FailWaiting(const JobError& error);
  // When something is to be done about a job whatever its group does.
  TimePoint DueOf(const Job& job) const;

  // The transition of an admitted job, without what belongs to some events alone.
  JobTransition Transition(JobEvent event, const Job& job) const;
  // After the line, the running job or the group has changed.
  void DispatchAndTell();

  const Clock& clock_;
  WorkerGroup& group_;
  PictureEncoder& encoder_;
  JobObserver& observer_;
  const RetryPolicy retry_;
  RequestResolver resolver_;
  JobPredictor predictor_;
  JobTable jobs_;
  Admission admission_;
  PositionTeller teller_;
  Job* running_ = nullptr;                 // kRunning or kCancelling; in jobs_
  internal::v1::Register running_worker_;  // what its ranks have in common
  int running_ranks_ = 0;
  bool draining_ = false;
  absl::AnyInvocable<void()> drained_;
};

}  // namespace tessera
