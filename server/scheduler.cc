#include "server/scheduler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "server/duration.h"
#include "server/job_errors.h"
#include "server/request_conversion.h"
#include "spdlog/spdlog.h"
#include "worker/base/check.h"

namespace tessera {
namespace {

// A deadline is refused only when the prediction exceeds what it allows by this factor.
constexpr double kDeadlineMargin = 1.1;
// A client whose deadline has just passed leaves at about the moment the server sees it pass.
constexpr double kDeadlineSlackS = 0.1;
constexpr double kProgressFactor = 5;  // of the predicted time, until a job counts as hung
constexpr double kCollectiveSlackS =
    5;  // the server, not a collective's limit, ends an epoch first
constexpr double kMinRetryS = 1;
constexpr double kMaxRetryS = 60;

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options, const Clock& clock, WorkerGroup& group,
                     SeedSource draw_seed)
    : options_(options),
      clock_(clock),
      group_(group),
      draw_seed_(std::move(draw_seed)),
      queue_(options.max_queue_length) {}

// Admission.

void Scheduler::Submit(JobSpec spec, std::shared_ptr<JobListener> listener) {
  auto job = std::make_unique<Job>(std::move(spec), std::move(listener));
  std::optional<JobError> error = Resolve(*job);
  if (!error.has_value()) error = Refusal(*job);
  if (error.has_value()) {
    spdlog::info("event=job_refused job={} reason={} why=\"{}\"", job->id(), error->reason,
                 error->message);
    job->listener().OnFinished(*std::move(error));
    return;
  }
  spdlog::info("event=job_admitted job={} queue_length={}", job->id(), queue_.length());
  spdlog::debug("event=job_prompt job={} prompt=\"{}\"", job->id(), job->spec().request.prompt());
  queue_.PushBack(std::move(job));
  TellPositions();
  Dispatch();
}

std::optional<JobError> Scheduler::Resolve(Job& job) {
  const v1::GenerateImageRequest& request = job.spec().request;
  std::vector<FieldViolation> violations =
      ValidateRequest(request, model_.has_value() ? &*model_ : nullptr);
  if (!violations.empty()) return InvalidRequest(std::move(violations));
  if (!model_.has_value()) return std::nullopt;  // again when it is known
  job.Resolve(
      FillDefaults(request, *model_, options_.defaults, request.has_seed() ? 0 : draw_seed_()));
  if (job.spec().reply == ReplyKind::kUnary) {
    const int64_t worst_case_bytes = WorstCaseReplyBytes(*job.effective());
    if (worst_case_bytes > options_.max_unary_reply_bytes) {
      return ReplyTooLarge(worst_case_bytes, options_.max_unary_reply_bytes);
    }
  }
  return std::nullopt;
}

std::optional<JobError> Scheduler::Refusal(const Job& job) const {
  if (draining_) return Draining();
  if (group_.gave_up()) return NoGroup(group_.reason());
  if (queue_.full()) {
    // A place is free as soon as the running job ends.
    const double wait_s =
        running_ == nullptr ? 0 : PredictedRemaining(*running_).value_or(kMinRetryS);
    return QueueFull(queue_.max_length(), std::clamp(wait_s, kMinRetryS, kMaxRetryS));
  }
  return DeadlineRefusal(job);
}

std::optional<JobError> Scheduler::DeadlineRefusal(const Job& job) const {
  if (job.spec().deadline == kNever) return std::nullopt;
  const double allowed_s = SecondsBetween(clock_.Now(), job.spec().deadline);
  if (allowed_s <= 0) return DeadlinePassed(job);
  const std::optional<Prediction> prediction = Predict(job);
  if (!prediction.has_value() || !prediction->certain) return std::nullopt;
  const std::optional<Wait> wait = PredictedWait(queue_.length());
  if (!wait.has_value() || !wait->certain) return std::nullopt;
  const double predicted_s = wait->seconds + prediction->total_s;
  if (predicted_s <= kDeadlineMargin * allowed_s) return std::nullopt;
  return DeadlineCannotBeMet(predicted_s, allowed_s);
}

void Scheduler::OnModelKnown(const ModelInfo& model) {
  model_ = model;
  for (int i = 0; i < queue_.length();) {
    Job& job = queue_.at(i);
    std::optional<JobError> error = Resolve(job);
    if (error.has_value()) {
      Finish(queue_.Remove(job.id()), JobState::kFailed, *std::move(error));
    } else {
      ++i;
    }
  }
}

// The way of a job through the group.

void Scheduler::OnGroupChanged() {
  if (group_.gave_up()) FlushQueue(NoGroup(group_.reason()));
  Dispatch();
}

void Scheduler::Dispatch() {
  if (running_ != nullptr || !group_.ready() || queue_.empty()) return;
  running_ = queue_.PopFront();
  Check(running_->effective().has_value(), "a group is ready only when the model is known");
  running_->StartAttempt(clock_.Now());
  if (ClassOf(group_.member_info()) != ClassOf(running_worker_)) costs_.Forget();
  running_worker_ = group_.member_info();
  spdlog::info("event=job_started job={} attempt={} ranks={}", running_->id(),
               running_->attempt().number, group_.size());
  group_.Run(MakeRun(*running_));
  running_->listener().OnAttemptStarted(running_->attempt().number, group_.size());
  TellPositions();
}

RunRequest Scheduler::MakeRun(const Job& job) const {
  RunRequest run;
  run.message.mutable_key()->set_job_id(job.id());
  run.message.mutable_key()->set_attempt(job.attempt().number);
  *run.message.mutable_request() = ToLinkRequest(*job.effective());
  run.limits = LimitsOf(Predict(job));
  const double longest_s =
      std::max({run.limits.first_step_s, run.limits.step_s, run.limits.finish_s});
  run.message.set_collective_timeout_ms(
      static_cast<int64_t>((longest_s + kCollectiveSlackS) * 1000));
  run.max_bytes = WorstCaseReplyBytes(*job.effective());
  return run;
}

ProgressLimits Scheduler::LimitsOf(const std::optional<Prediction>& prediction) const {
  if (!prediction.has_value()) {
    const double limit_s = options_.unmeasured_progress_limit_s;
    return {.first_step_s = limit_s, .step_s = limit_s, .finish_s = limit_s};
  }
  const auto limit_s = [&](double predicted_s) {
    return std::max(options_.min_progress_limit_s, kProgressFactor * predicted_s);
  };
  return {.first_step_s = limit_s(prediction->text_encode_s + prediction->step_s),
          .step_s = limit_s(prediction->step_s),
          .finish_s = limit_s(prediction->finish_s)};
}

void Scheduler::OnStepDone(const internal::v1::JobKey& key, int step) {
  if (running_ == nullptr || running_->id() != key.job_id()) return;
  running_->SetStepsDone(step);
  running_->listener().OnStepDone(step, running_->effective()->num_inference_steps(),
                                  PredictedRemaining(*running_));
}

void Scheduler::Abandon(const std::string& job_id) {
  const bool is_running = running_ != nullptr && running_->id() == job_id;
  std::unique_ptr<Job> queued = is_running ? nullptr : queue_.Remove(job_id);
  if (!is_running && queued == nullptr) return;
  const JobSpec& spec = is_running ? running_->spec() : queued->spec();
  const bool expired = clock_.Now() + Seconds(kDeadlineSlackS) >= spec.deadline;
  const JobState terminal = expired ? JobState::kExpired : JobState::kCancelled;
  if (is_running) {
    Stop(terminal,
         expired ? internal::v1::STOP_REASON_DEADLINE : internal::v1::STOP_REASON_CANCELLED);
    return;
  }
  JobError error = expired ? DeadlinePassed(*queued) : Cancelled(*queued);
  Finish(std::move(queued), terminal, std::move(error));
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
      costs_.Record(JobShape::Of(*job->effective()), result.report, run_s);
      JobSuccess success = SuccessOf(*job, std::move(result));
      Finish(std::move(job), JobState::kSucceeded, std::move(success));
      return;
    }
    case RunOutcome::kFailed: {
      JobError error = GenerationFailed(*job, result);
      Finish(std::move(job), JobState::kFailed, std::move(error));
      return;
    }
    case RunOutcome::kStopped:  // nobody asked for it
    case RunOutcome::kInterrupted:
      if (job->attempt().number < options_.max_attempts) {
        spdlog::warn("event=job_interrupted job={} attempt={} why=\"{}\"", job->id(),
                     job->attempt().number, std::string(result.status.message()));
        job->RunAgain();
        queue_.PushFront(std::move(job));
        return;
      }
      JobError error = WorkerLost(*job, result);
      Finish(std::move(job), JobState::kFailed, std::move(error));
      return;
  }
}

JobSuccess Scheduler::SuccessOf(const Job& job, RunResult result) const {
  JobSuccess success = {.pngs = std::move(result.pngs), .metadata = {}};
  v1::GenerationMetadata& metadata = success.metadata;
  const internal::v1::JobReport& report = result.report;
  metadata.set_job_id(job.id());
  *metadata.mutable_effective_request() = *job.effective();
  metadata.set_ranks(group_.size());
  metadata.set_attempts(job.attempt().number);
  metadata.set_model_name(running_worker_.model().name());
  metadata.set_model_fingerprint(running_worker_.model().fingerprint());
  metadata.set_dtype(running_worker_.dtype());
  metadata.set_tessera_version(TESSERA_VERSION);
  metadata.set_clip_tokens(report.clip_tokens());
  metadata.set_clip_truncated(report.clip_truncated());
  metadata.set_t5_tokens(report.t5_tokens());
  metadata.set_t5_truncated(report.t5_truncated());
  metadata.set_bytes_exchanged(report.bytes_received());
  v1::StageSeconds& seconds = *metadata.mutable_stage_seconds();
  seconds.set_queue(SecondsBetween(job.spec().submitted_at, job.attempt().started_at));
  seconds.set_text_encode(report.text_encode_s());
  seconds.set_denoise(report.denoise_s());
  seconds.set_vae_decode(report.decode_s());
  seconds.set_png(report.png_s());
  seconds.set_total(SecondsBetween(job.spec().submitted_at, clock_.Now()));
  return success;
}

void Scheduler::Finish(std::unique_ptr<Job> job, JobState terminal, JobResult result) {
  const JobError* error = std::get_if<JobError>(&result);
  spdlog::info(
      "event=job_ended job={} state={} attempts={} steps_done={} total_s={:.3f} why=\"{}\"",
      job->id(), JobStateName(terminal), job->attempt().number, job->attempt().steps_done,
      SecondsBetween(job->spec().submitted_at, clock_.Now()),
      error == nullptr ? "" : error->message);
  job->Finish(terminal, std::move(result));
  if (drained_ != nullptr && running_ == nullptr && queue_.empty()) {
    std::exchange(drained_, nullptr)();
  }
}

// Draining, deadlines.

void Scheduler::Drain(absl::AnyInvocable<void()> drained) {
  draining_ = true;
  spdlog::info("event=draining queued={} running={}", queue_.length(), running_ == nullptr ? 0 : 1);
  if (running_ == nullptr && queue_.empty()) {
    drained();
  } else {
    drained_ = std::move(drained);
  }
}

void Scheduler::FailAll(const JobError& error) {
  FlushQueue(error);
  if (running_ == nullptr) return;
  std::unique_ptr<Job> job = std::move(running_);
  group_.Stop(internal::v1::STOP_REASON_CANCELLED);
  const bool stopping = job->state() == JobState::kStopping;
  const JobState terminal = stopping ? job->stopping_towards() : JobState::kFailed;
  Finish(std::move(job), terminal, error);
}

void Scheduler::FlushQueue(const JobError& error) {
  while (std::unique_ptr<Job> job = queue_.PopFront()) {
    Finish(std::move(job), JobState::kFailed, error);
  }
}

void Scheduler::OnTime(TimePoint now) {
  if (running_ != nullptr && running_->spec().deadline <= now) {
    Stop(JobState::kExpired, internal::v1::STOP_REASON_DEADLINE);
  }
  auto expired = queue_.RemoveIf([&](const Job& job) { return job.spec().deadline <= now; });
  for (std::unique_ptr<Job>& job : expired) {
    JobError error = DeadlinePassed(*job);
    Finish(std::move(job), JobState::kExpired, std::move(error));
  }
  if (!expired.empty()) TellPositions();
}

TimePoint Scheduler::NextDue() const {
  TimePoint due = kNever;
  if (running_ != nullptr && running_->state() == JobState::kRunning) {
    due = running_->spec().deadline;
  }
  for (int i = 0; i < queue_.length(); ++i) due = std::min(due, queue_.at(i).spec().deadline);
  return due;
}

// Predictions.

void Scheduler::TellPositions() {
  const int in_front = running_ == nullptr ? 0 : 1;
  for (int i = 0; i < queue_.length(); ++i) {
    const std::optional<Wait> wait = PredictedWait(i);
    queue_.at(i).TellPosition(in_front + i,
                              wait.has_value() ? std::optional(wait->seconds) : std::nullopt);
  }
}

std::optional<Prediction> Scheduler::Predict(const Job& job) const {
  if (!job.effective().has_value()) return std::nullopt;
  return costs_.Predict(JobShape::Of(*job.effective()));
}

std::optional<Scheduler::Wait> Scheduler::PredictedWait(int place) const {
  if (!group_.whole()) return std::nullopt;
  Wait wait;
  if (running_ != nullptr) {
    const std::optional<double> remaining_s = PredictedRemaining(*running_);
    if (!remaining_s.has_value()) return std::nullopt;
    wait = {.seconds = *remaining_s, .certain = Predict(*running_)->certain};
  }
  for (int i = 0; i < place; ++i) {
    const std::optional<Prediction> prediction = Predict(queue_.at(i));
    if (!prediction.has_value()) return std::nullopt;
    wait.seconds += prediction->total_s;
    wait.certain &= prediction->certain;
  }
  return wait;
}

std::optional<double> Scheduler::PredictedRemaining(const Job& running) const {
  const std::optional<Prediction> prediction = Predict(running);
  if (!prediction.has_value()) return std::nullopt;
  const int steps_done = running.attempt().steps_done;
  const int steps_left = running.effective()->num_inference_steps() - steps_done;
  const double text_encode_s = steps_done == 0 ? prediction->text_encode_s : 0;
  return text_encode_s + steps_left * prediction->step_s + prediction->finish_s;
}

v1::QueueDescription Scheduler::DescribeQueue() const {
  v1::QueueDescription description;
  description.set_length(queue_.length());
  description.set_max_length(queue_.max_length());
  const std::optional<Wait> wait = PredictedWait(queue_.length());
  if (wait.has_value()) *description.mutable_predicted_wait() = ToDuration(wait->seconds);
  return description;
}

}  // namespace tessera
