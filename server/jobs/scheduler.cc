#include "server/jobs/scheduler.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/quote.h"
#include "common/wire/link_conversion.h"
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
constexpr double kMinRetryS = 1;
constexpr double kMaxRetryS = 60;
constexpr int kMaxEncoding = 4;  // jobs whose pixels are held for their PNGs

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options, const Clock& clock, WorkerGroup& group,
                     PictureEncoder& encoder, RequestResolver::SeedSource draw_seed)
    : options_(options),
      clock_(clock),
      group_(group),
      encoder_(encoder),
      resolver_(options.defaults, options.max_unary_reply_bytes, group.size(),
                std::move(draw_seed)),
      predictor_(options.progress, clock),
      queue_(options.max_queue_length),
      encoding_(kMaxEncoding) {}

// Admission.

void Scheduler::Submit(JobSpec spec, std::shared_ptr<JobListener> listener) {
  auto job = std::make_unique<Job>(std::move(spec), std::move(listener));
  std::optional<JobError> error = resolver_.Resolve(*job);
  if (!error.has_value()) error = Refusal(*job);
  if (error.has_value()) return Refuse(job->spec(), job->listener(), *std::move(error));
  spdlog::info("event=job_admitted job={} queue_length={}", job->id(), queue_.length());
  spdlog::debug("event=job_prompt job={} prompt={}", job->id(),
                Quote(job->spec().request.prompt()));
  tallies_.set_admitted(tallies_.admitted() + 1);
  queue_.PushBack(std::move(job));
  TellPositions();
  Dispatch();
}

void Scheduler::Refuse(const JobSpec& spec, JobListener& listener, JobError error) {
  spdlog::info("event=job_refused job={} reason={} why=\"{}\"", spec.id, error.reason,
               error.message);
  tallies_.set_refused(tallies_.refused() + 1);
  listener.OnFinished(std::move(error));
}

std::optional<JobError> Scheduler::Refusal(const Job& job) const {
  if (draining_) return Draining();
  if (group_.gave_up()) return NoGroup(group_.reason());
  if (queue_.full()) {
    // A place is free as soon as the running job ends.
    const double wait_s =
        running_ == nullptr ? 0 : predictor_.Remaining(*running_).value_or(kMinRetryS);
    return QueueFull(queue_.max_length(), std::clamp(wait_s, kMinRetryS, kMaxRetryS));
  }
  if (std::optional<JobError> error = MemoryRefusal(job)) return error;
  return DeadlineRefusal(job);
}

std::optional<JobError> Scheduler::DeadlineRefusal(const Job& job) const {
  if (job.deadline() == kNever) return std::nullopt;
  const double allowed_s = SecondsBetween(clock_.Now(), job.deadline());
  if (allowed_s <= 0) return DeadlinePassed(job);
  const std::optional<Prediction> prediction = predictor_.Predict(job);
  if (!prediction.has_value() || !prediction->fastest_s.has_value()) return std::nullopt;
  const double shortest_s =
      predictor_.ShortestWaitAt(queue_.length(), queue_) + *prediction->fastest_s;
  if (shortest_s <= allowed_s) return std::nullopt;
  return DeadlineCannotBeMet(shortest_s, allowed_s);
}

std::optional<JobError> Scheduler::MemoryRefusal(const Job& job) const {
  if (!group_.whole() || !job.effective().has_value()) return std::nullopt;
  JobSize size = job.size();
  size.ranks = group_.ranks();
  const absl::Status fits = CheckFits(size, FromLinkMemory(group_.job_memory()));
  if (fits.ok()) return std::nullopt;
  return TooLargeForMemory(std::string(fits.message()));
}

void Scheduler::OnModelKnown(const ModelInfo& model) {
  resolver_.SetModel(model);
  for (int i = 0; i < queue_.length();) {
    Job& job = queue_.at(i);
    std::optional<JobError> error = resolver_.Resolve(job);
    if (error.has_value()) {
      Finish(queue_.Remove(job.id()), JobState::kFailed, *std::move(error));
    } else {
      ++i;
    }
  }
}

// The way of a job through the group.

void Scheduler::OnGroupChanged() {
  if (group_.gave_up()) Flush(queue_, NoGroup(group_.reason()));
  Dispatch();
}

void Scheduler::Dispatch() {
  if (running_ != nullptr || encoding_.full() || !group_.ready()) return;
  const int ranks = group_.ranks();
  running_ = queue_.TakeFirst([&](const Job& job) { return job.MayRunOn(ranks); });
  if (running_ == nullptr) return;
  Check(running_->effective().has_value(), "a group is ready only when the model is known");
  if (std::optional<JobError> error = MemoryRefusal(*running_)) {
    Finish(std::move(running_), JobState::kFailed, *std::move(error));
    return Dispatch();
  }
  running_->StartAttempt(clock_.Now(), ranks);
  NoteGroup();
  spdlog::info("event=job_started job={} attempt={} ranks={}", running_->id(),
               running_->attempt().number, ranks);
  tallies_.set_attempts(tallies_.attempts() + 1);
  group_.Run(MakeRun(*running_));
  running_->listener().OnAttemptStarted(running_->attempt().number, ranks);
  TellPositions();
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

void Scheduler::Abandon(const std::string& job_id) {
  const auto is_expired = [&](const Job& job) {
    return clock_.Now() + Seconds(kDeadlineSlackS) >= job.deadline();
  };
  if (running_ != nullptr && running_->id() == job_id) {
    const bool expired = is_expired(*running_);
    Stop(expired ? JobState::kExpired : JobState::kCancelled,
         expired ? internal::v1::STOP_REASON_DEADLINE : internal::v1::STOP_REASON_CANCELLED);
    return;
  }
  std::unique_ptr<Job> job = queue_.Remove(job_id);
  if (job == nullptr) job = encoding_.Remove(job_id);
  if (job == nullptr) return;
  const bool expired = is_expired(*job);
  JobError error = expired ? DeadlinePassed(*job) : Cancelled(*job);
  Finish(std::move(job), expired ? JobState::kExpired : JobState::kCancelled, std::move(error));
  Dispatch();
  TellPositions();
}

void Scheduler::Stop(JobState terminal, internal::v1::StopReason why) {
  if (running_->state() != JobState::kRunning) return;
  spdlog::info("event=job_stopping job={} why={} steps_done={}", running_->id(),
               JobStateName(terminal), running_->attempt().steps_done);
  running_->Stop(terminal);
  group_.Stop(why);
}

void Scheduler::OnRunFinished(RunResult result) {
  if (running_ != nullptr && running_->id() == result.key.job_id()) {
    FinishRunning(std::move(result));
  }
  Dispatch();
  TellPositions();
}

void Scheduler::FinishRunning(RunResult result) {
  std::unique_ptr<Job> job = std::move(running_);
  if (job->state() == JobState::kStopping) {
    const JobState terminal = job->stopping_towards();
    JobError error = terminal == JobState::kExpired ? DeadlinePassed(*job) : Cancelled(*job);
    Finish(std::move(job), terminal, std::move(error));
    return;
  }
  switch (result.outcome) {
    case RunOutcome::kSucceeded: {
      const double run_s = SecondsBetween(job->attempt().started_at, clock_.Now());
      predictor_.Record(*job, result.report, run_s);
      return StartEncoding(std::move(job), std::move(result));
    }
    case RunOutcome::kFailed: {
      JobError error = GenerationFailed(*job, result);
      Finish(std::move(job), JobState::kFailed, std::move(error));
      return;
    }
    case RunOutcome::kStopped:  // nobody asked for it
    case RunOutcome::kBroken:
    case RunOutcome::kInterrupted:
      return FinishInterrupted(std::move(job), result);
  }
}

void Scheduler::StartEncoding(std::unique_ptr<Job> job, RunResult result) {
  job->StartEncoding();
  v1::GenerationMetadata metadata = MakeMetadata(*job, result.report, running_worker_);
  Pictures pictures = {.rgb = std::move(result.pictures),
                       .width = job->effective()->width(),
                       .height = job->effective()->height(),
                       .settings = PngSettings(metadata)};
  auto done = [this, job_id = job->id(), metadata = std::move(metadata),
               begun_at = clock_.Now()](absl::StatusOr<std::vector<std::string>> pngs) mutable {
    OnEncoded(job_id, std::move(metadata), begun_at, std::move(pngs));
  };
  encoding_.PushBack(std::move(job));
  encoder_.Encode(std::move(pictures), std::move(done));
}

void Scheduler::OnEncoded(const std::string& job_id, v1::GenerationMetadata metadata,
                          TimePoint begun_at, absl::StatusOr<std::vector<std::string>> pngs) {
  std::unique_ptr<Job> job = encoding_.Remove(job_id);
  if (job == nullptr) return;  // it was given up
  if (pngs.ok()) {
    const TimePoint now = clock_.Now();
    v1::StageSeconds& seconds = *metadata.mutable_stage_seconds();
    seconds.set_png(SecondsBetween(begun_at, now));
    seconds.set_total(SecondsBetween(job->spec().submitted_at, now));
    Finish(std::move(job), JobState::kSucceeded,
           JobSuccess{.pngs = *std::move(pngs), .metadata = std::move(metadata)});
  } else {
    JobError error = EncodingFailed(*job, pngs.status());
    Finish(std::move(job), JobState::kFailed, std::move(error));
  }
  Dispatch();
  TellPositions();
}

void Scheduler::FinishInterrupted(std::unique_ptr<Job> job, const RunResult& result) {
  const TimePoint now = clock_.Now();
  job->NoteInterruption(now, result);
  spdlog::warn("event=job_interrupted job={} attempt={} steps_done={} why=\"{}\"", job->id(),
               job->attempt().number, job->attempt().steps_done, job->interruptions().latest);
  if (job->attempt().number < options_.max_attempts && now < RetryUntil(*job)) {
    job->RunAgain();
    queue_.PushFront(std::move(job));
    return;
  }
  const bool breaks_groups = options_.max_attempts > 1 && job->interruptions().always_broke &&
                             job->attempt().number >= options_.max_attempts;
  JobError error = breaks_groups ? JobBreaksWorkers(*job) : WorkerLost(*job);
  Finish(std::move(job), JobState::kFailed, std::move(error));
}

TimePoint Scheduler::RetryUntil(const Job& job) const {
  const TimePoint first_at = job.interruptions().first_at;
  return first_at == kNever ? kNever : first_at + Seconds(options_.retry_window_s);
}

void Scheduler::Finish(std::unique_ptr<Job> job, JobState terminal, JobResult result) {
  const JobError* error = std::get_if<JobError>(&result);
  spdlog::info(
      "event=job_ended job={} state={} attempts={} steps_done={} total_s={:.3f} why=\"{}\"",
      job->id(), JobStateName(terminal), job->attempt().number, job->attempt().steps_done,
      SecondsBetween(job->spec().submitted_at, clock_.Now()),
      error == nullptr ? "" : error->message);
  Tally(terminal);
  job->Finish(terminal, std::move(result));
  if (drained_ != nullptr && idle()) std::exchange(drained_, nullptr)();
}

void Scheduler::Tally(JobState terminal) {
  switch (terminal) {
    case JobState::kSucceeded:
      return tallies_.set_succeeded(tallies_.succeeded() + 1);
    case JobState::kCancelled:
      return tallies_.set_cancelled(tallies_.cancelled() + 1);
    case JobState::kExpired:
      return tallies_.set_expired(tallies_.expired() + 1);
    default:
      return tallies_.set_failed(tallies_.failed() + 1);
  }
}

// Draining, deadlines.

void Scheduler::Drain(absl::AnyInvocable<void()> drained) {
  draining_ = true;
  spdlog::info("event=draining queued={} running={} encoding={}", queue_.length(),
               running_ == nullptr ? 0 : 1, encoding_.length());
  if (idle()) {
    drained();
  } else {
    drained_ = std::move(drained);
  }
}

void Scheduler::FailAll(const JobError& error) {
  Flush(queue_, error);
  Flush(encoding_, error);
  if (running_ == nullptr) return;
  std::unique_ptr<Job> job = std::move(running_);
  group_.Stop(internal::v1::STOP_REASON_CANCELLED);
  const bool stopping = job->state() == JobState::kStopping;
  const JobState terminal = stopping ? job->stopping_towards() : JobState::kFailed;
  Finish(std::move(job), terminal, error);
}

void Scheduler::Flush(JobQueue& jobs, const JobError& error) {
  while (std::unique_ptr<Job> job = jobs.PopFront()) {
    Finish(std::move(job), JobState::kFailed, error);
  }
}

void Scheduler::OnTime(TimePoint now) {
  if (running_ != nullptr && running_->deadline() <= now) {
    Stop(JobState::kExpired, internal::v1::STOP_REASON_DEADLINE);
  }
  bool some_ended = false;
  for (JobQueue* jobs : {&queue_, &encoding_}) {
    for (auto& job : jobs->RemoveIf([&](const Job& each) { return each.deadline() <= now; })) {
      JobError error = DeadlinePassed(*job);
      Finish(std::move(job), JobState::kExpired, std::move(error));
      some_ended = true;
    }
  }
  for (auto& job : queue_.RemoveIf([&](const Job& each) { return RetryUntil(each) <= now; })) {
    JobError error = WorkerLost(*job);
    Finish(std::move(job), JobState::kFailed, std::move(error));
    some_ended = true;
  }
  if (!some_ended) return;
  Dispatch();
  TellPositions();
}

void Scheduler::ExtendDeadline(const std::string& job_id, TimePoint deadline) {
  if (running_ != nullptr && running_->id() == job_id) running_->ExtendDeadline(deadline);
  for (JobQueue* jobs : {&queue_, &encoding_}) {
    for (int i = 0; i < jobs->length(); ++i) {
      if (jobs->at(i).id() == job_id) jobs->at(i).ExtendDeadline(deadline);
    }
  }
}

TimePoint Scheduler::NextDue() const {
  TimePoint due = kNever;
  if (running_ != nullptr && running_->state() == JobState::kRunning) {
    due = running_->deadline();
  }
  for (int i = 0; i < queue_.length(); ++i) {
    const Job& job = queue_.at(i);
    due = std::min({due, job.deadline(), RetryUntil(job)});
  }
  for (int i = 0; i < encoding_.length(); ++i) due = std::min(due, encoding_.at(i).deadline());
  return due;
}

// Predictions.

void Scheduler::TellPositions() {
  const int in_front = running_ == nullptr ? 0 : 1;
  for (int i = 0; i < queue_.length(); ++i) {
    queue_.at(i).TellPosition(in_front + i, PredictedWait(i));
  }
}

std::optional<double> Scheduler::PredictedWait(int place) const {
  if (!group_.whole()) return std::nullopt;
  return predictor_.WaitAt(place, queue_, running_.get());
}

v1::QueueDescription Scheduler::DescribeQueue() const {
  v1::QueueDescription description;
  description.set_length(queue_.length());
  description.set_max_length(queue_.max_length());
  const std::optional<double> wait_s = PredictedWait(queue_.length());
  if (wait_s.has_value()) *description.mutable_predicted_wait() = ToDuration(*wait_s);
  return description;
}

}  // namespace tessera
