#include "server/jobs/scheduler.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "server/jobs/generation_metadata.h"
#include "server/jobs/job_errors.h"
#include "server/loop/duration.h"
#include "spdlog/spdlog.h"

namespace tessera {
namespace {

// A client whose deadline has just passed leaves at about the moment the server sees it pass.
constexpr double kDeadlineSlackS = 0.1;
// The server, not a collective's own limit, ends an epoch first.
constexpr double kCollectiveSlackS = 5;
constexpr int kMaxEncoding = 4;  // jobs whose pixels are held for their PNGs

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options, const Clock& clock, WorkerGroup& group,
                     PictureEncoder& encoder, JobObserver& observer,
                     RequestResolver::SeedSource draw_seed)
    : clock_(clock),
      group_(group),
      encoder_(encoder),
      observer_(observer),
      retry_(options.retry),
      resolver_(options.defaults, group.size(), std::move(draw_seed)),
      predictor_(options.progress, clock),
      jobs_([this](const Job& job) { return DueOf(job); }),
      admission_(options.max_queue_length, clock, group, predictor_, jobs_),
      teller_(predictor_, clock) {}

JobTransition Scheduler::Transition(JobEvent event, const Job& job) const {
  return {.event = event, .call = job.spec(), .job_id = job.id(), .now = clock_.Now(), .job = &job};
}

// Admission.

void Scheduler::Submit(JobSpec spec, std::shared_ptr<JobListener> listener) {
  auto job = std::make_unique<Job>(std::move(spec), std::move(listener));
  std::optional<JobError> error = resolver_.Resolve(*job);
  if (!error.has_value() && draining_) error = Draining();
  if (!error.has_value()) error = admission_.Refusal(*job, running_);
  if (error.has_value()) return Refuse(job->spec(), job->listener(), *std::move(error));
  JobTransition admitted = Transition(JobEvent::kAdmitted, *job);
  admitted.in_front = jobs_.waiting();
  observer_.OnTransition(admitted);
  jobs_.Add(std::move(job));
  teller_.TellLast(jobs_.line(), running_, group_.healthy());
  Dispatch();
}

void Scheduler::Refuse(const JobSpec& spec, JobListener& listener, JobError error) {
  observer_.OnTransition({.event = JobEvent::kRefused,
                          .call = spec,
                          .job_id = {},
                          .now = clock_.Now(),
                          .error = &error});
  listener.OnFinished(std::move(error));
}

void Scheduler::OnModelKnown(const ModelInfo& model) {
  resolver_.SetModel(model);
  for (auto it = jobs_.line().begin(); it != jobs_.line().end();) {
    Job& job = *(it++)->second;
    if (std::optional<JobError> error = resolver_.Resolve(job)) Fail(job, *std::move(error));
  }
}

// The way of a job through the group.

void Scheduler::OnGroupChanged() {
  if (group_.gave_up()) FailWaiting(NoGroup(group_.reason()));
  Dispatch();
}

void Scheduler::DispatchAndTell() {
  Dispatch();
  teller_.Tell(jobs_.line(), running_, group_.healthy());
}

void Scheduler::Dispatch() {
  while (running_ == nullptr && jobs_.Count(JobState::kEncoding) < kMaxEncoding && group_.ready()) {
    const int ranks = group_.ranks();
    const auto next = std::find_if(jobs_.line().begin(), jobs_.line().end(),
                                   [&](const auto& each) { return each.second->MayRunOn(ranks); });
    if (next == jobs_.line().end()) return;
    Job& job = *next->second;
    Check(job.effective().has_value(), "a group is ready only when the model is known");
    if (std::optional<JobError> error = admission_.MemoryRefusal(job)) {
      Fail(job, *std::move(error));
    } else {
      Start(job);
    }
  }
}

void Scheduler::Start(Job& job) {
  running_ = &job;
  job.StartAttempt(clock_.Now(), group_.ranks());
  jobs_.Update(job);
  NoteGroup();
  observer_.OnTransition(Transition(JobEvent::kAttemptStarted, job));
  group_.Run(MakeRun(job));
  job.listener().OnAttemptStarted(job.attempt().number, job.attempt().ranks);
  teller_.Tell(jobs_.line(), running_, group_.healthy());
}

void Scheduler::NoteGroup() {
  const bool as_before =
      ClassOf(group_.member_info()) == ClassOf(running_worker_) && group_.ranks() == running_ranks_;
  if (!as_before) predictor_.Forget();
  running_worker_ = group_.member_info();
  running_ranks_ = group_.ranks();
}

RunRequest Scheduler::MakeRun(const Job& job) const {
  RunRequest run;
  run.message.mutable_key()->set_job_id(job.id());
  run.message.mutable_key()->set_attempt(job.attempt().number);
  *run.message.mutable_request() = *job.effective();
  run.limits = predictor_.LimitsOf(job);
  const double longest_s =
      std::max({run.limits.first_step_s, run.limits.step_s, run.limits.finish_s});
  run.message.set_collective_timeout_ms(
      static_cast<int64_t>((longest_s + kCollectiveSlackS) * 1000));
  return run;
}

void Scheduler::OnStageBegun(const internal::v1::JobKey& key, JobStage stage) {
  if (running_ != nullptr && running_->id() == key.job_id()) running_->SetStage(stage);
}

void Scheduler::OnStepDone(const internal::v1::JobKey& key, int step) {
  if (running_ == nullptr || running_->id() != key.job_id()) return;
  running_->SetStepsDone(step);
  running_->listener().OnStepDone(step, running_->effective()->num_inference_steps(),
                                  predictor_.Remaining(*running_));
}

void Scheduler::OnRunFinished(RunResult result) {
  if (running_ != nullptr && running_->id() == result.key.job_id()) {
    FinishRunning(std::move(result));
  }
  DispatchAndTell();
}

void Scheduler::FinishRunning(RunResult result) {
  Job& job = *std::exchange(running_, nullptr);
  if (job.state() == JobState::kCancelling) {
    const JobState terminal = job.cancelled_as();
    Finish(job, terminal, terminal == JobState::kExpired ? DeadlinePassed(job) : Cancelled(job));
    return;
  }
  switch (result.outcome) {
    case RunOutcome::kSucceeded:
      predictor_.Record(job, result.report, SecondsBetween(job.attempt().started_at, clock_.Now()));
      return StartEncoding(job, std::move(result));
    case RunOutcome::kFailed:
      return Fail(job, GenerationFailed(job, result));
    case RunOutcome::kCancelled:  // nobody asked for it
    case RunOutcome::kBroken:
    case RunOutcome::kInterrupted:
      return FinishInterrupted(job, result);
  }
}

void Scheduler::FinishInterrupted(Job& job, const RunResult& result) {
  const TimePoint now = clock_.Now();
  job.NoteInterruption(now, result);
  observer_.OnTransition(Transition(JobEvent::kInterrupted, job));
  if (!retry_.RunsAgain(job, now)) {
    return Fail(job, retry_.BreaksGroups(job) ? JobBreaksWorkers(job) : WorkerLost(job));
  }
  job.RunAgain();
  jobs_.Update(job);
  observer_.OnTransition(Transition(JobEvent::kRequeued, job));
}

void Scheduler::StartEncoding(Job& job, RunResult result) {
  job.StartEncoding();
  jobs_.Update(job);
  observer_.OnTransition(Transition(JobEvent::kEncoding, job));
  v1::GenerationMetadata metadata = MakeMetadata(job, result.report, running_worker_);
  Pictures pictures = {.rgb = std::move(result.pictures),
                       .width = job.effective()->width(),
                       .height = job.effective()->height(),
                       .settings = PngSettings(metadata)};
  auto done = [this, job_id = job.id(), metadata = std::move(metadata),
               begun_at = clock_.Now()](absl::StatusOr<std::vector<std::string>> pngs) mutable {
    OnEncoded(job_id, std::move(metadata), begun_at, std::move(pngs));
  };
  encoder_.Encode(std::move(pictures), std::move(done));
}

void Scheduler::OnEncoded(const std::string& job_id, v1::GenerationMetadata metadata,
                          TimePoint begun_at, absl::StatusOr<std::vector<std::string>> pngs) {
  Job* const job = jobs_.Find(job_id);
  if (job == nullptr) return;  // it was cancelled
  if (pngs.ok()) {
    const TimePoint now = clock_.Now();
    v1::StageSeconds& seconds = *metadata.mutable_stage_seconds();
    seconds.set_png(SecondsBetween(begun_at, now));
    seconds.set_total(SecondsBetween(job->spec().submitted_at, now));
    Finish(*job, JobState::kSucceeded,
           JobSuccess{.pngs = *std::move(pngs), .metadata = std::move(metadata)});
  } else {
    Fail(*job, EncodingFailed(*job, pngs.status()));
  }
  DispatchAndTell();
}

void Scheduler::Finish(Job& job, JobState terminal, JobResult result) {
  if (running_ == &job) running_ = nullptr;
  const std::unique_ptr<Job> ended = jobs_.Remove(job);
  JobTransition transition = Transition(JobEvent::kEnded, *ended);
  transition.error = std::get_if<JobError>(&result);
  transition.ends_as = terminal;
  observer_.OnTransition(transition);
  ended->Finish(terminal, std::move(result));
  if (drained_ != nullptr && jobs_.empty()) std::exchange(drained_, nullptr)();
}

// Cancelling, draining, deadlines.

void Scheduler::Cancel(const std::string& job_id) {
  Job* const job = jobs_.Find(job_id);
  if (job == nullptr) return;
  const bool expired = clock_.Now() + Seconds(kDeadlineSlackS) >= job->deadline();
  const JobState terminal = expired ? JobState::kExpired : JobState::kCancelled;
  if (job == running_) {
    return CancelRunning(terminal, expired ? internal::v1::STOP_REASON_DEADLINE
                                           : internal::v1::STOP_REASON_CANCELLED);
  }
  Finish(*job, terminal, expired ? DeadlinePassed(*job) : Cancelled(*job));
  DispatchAndTell();
}

void Scheduler::CancelRunning(JobState terminal, internal::v1::StopReason why) {
  if (running_->state() != JobState::kRunning) return;
  running_->Cancel(terminal);
  jobs_.Update(*running_);
  observer_.OnTransition(Transition(JobEvent::kCancelling, *running_));
  group_.Cancel(why);
}

void Scheduler::Drain(absl::AnyInvocable<void()> drained) {
  draining_ = true;
  spdlog::info("event=draining queued={} running={} encoding={}", jobs_.waiting(),
               running_ == nullptr ? 0 : 1, jobs_.Count(JobState::kEncoding));
  if (jobs_.empty()) {
    drained();
  } else {
    drained_ = std::move(drained);
  }
}

void Scheduler::FailWaiting(const JobError& error) {
  while (!jobs_.line().empty()) Fail(*jobs_.line().begin()->second, error);
}

void Scheduler::FailAll(const JobError& error) {
  FailWaiting(error);
  if (running_ != nullptr) group_.Cancel(internal::v1::STOP_REASON_CANCELLED);
  for (Job* job : jobs_.All()) {
    const bool cancelling = job->state() == JobState::kCancelling;
    Finish(*job, cancelling ? job->cancelled_as() : JobState::kFailed, error);
  }
}

TimePoint Scheduler::DueOf(const Job& job) const {
  if (job.state() == JobState::kCancelling) return kNever;
  if (job.state() == JobState::kQueued) return std::min(job.deadline(), retry_.Until(job));
  return job.deadline();
}

void Scheduler::OnTime(TimePoint now) {
  bool some_ended = false;
  for (Job* job : jobs_.Due(now)) {
    if (job == running_) {
      CancelRunning(JobState::kExpired, internal::v1::STOP_REASON_DEADLINE);
      continue;
    }
    if (job->deadline() <= now) {
      Finish(*job, JobState::kExpired, DeadlinePassed(*job));
    } else {
      Fail(*job, WorkerLost(*job));
    }
    some_ended = true;
  }
  if (some_ended) DispatchAndTell();
  teller_.OnTime(now, jobs_.line(), running_, group_.healthy());
}

void Scheduler::ExtendDeadline(const std::string& job_id, TimePoint deadline) {
  Job* const job = jobs_.Find(job_id);
  if (job == nullptr) return;
  job->ExtendDeadline(deadline);
  jobs_.Update(*job);
}

TimePoint Scheduler::NextDue() const { return std::min(jobs_.NextDue(), teller_.NextDue()); }

v1::QueueDescription Scheduler::DescribeQueue() const {
  v1::QueueDescription description;
  description.set_length(jobs_.waiting());
  description.set_max_length(admission_.max_queue_length());
  const std::optional<double> wait_s =
      group_.healthy() ? predictor_.WaitAt(jobs_.line().size(), jobs_.line(), running_)
                       : std::nullopt;
  if (wait_s.has_value()) *description.mutable_predicted_wait() = ToDuration(*wait_s);
  return description;
}

}  // namespace tessera
