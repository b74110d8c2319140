#include "server/jobs/job.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"

namespace tessera {

const char* JobStateName(JobState state) {
  switch (state) {
    case JobState::kQueued:
      return "queued";
    case JobState::kRunning:
      return "running";
    case JobState::kStopping:
      return "stopping";
    case JobState::kEncoding:
      return "encoding";
    case JobState::kSucceeded:
      return "succeeded";
    case JobState::kFailed:
      return "failed";
    case JobState::kCancelled:
      return "cancelled";
    case JobState::kExpired:
      return "expired";
  }
  return "?";
}

bool IsTerminal(JobState state) {
  return state == JobState::kSucceeded || state == JobState::kFailed ||
         state == JobState::kCancelled || state == JobState::kExpired;
}

bool IsLegalTransition(JobState from, JobState to) {
  switch (from) {
    case JobState::kQueued:
      return to == JobState::kRunning || to == JobState::kFailed || to == JobState::kCancelled ||
             to == JobState::kExpired;
    case JobState::kRunning:
      return to == JobState::kStopping || to == JobState::kEncoding || to == JobState::kFailed ||
             to == JobState::kQueued;
    case JobState::kStopping:
      return to == JobState::kCancelled || to == JobState::kExpired;
    case JobState::kEncoding:
      return IsTerminal(to);
    default:
      return false;
  }
}

Job::Job(JobSpec spec, std::shared_ptr<JobListener> listener)
    : spec_(std::move(spec)), listener_(std::move(listener)), deadline_(spec_.deadline) {}

bool Job::MayRunOn(int ranks) const {
  return first_attempt_ranks_ == 0 || first_attempt_ranks_ == ranks ||
         spec_.request.allow_ranks_change();
}

void Job::StartAttempt(TimePoint now, int ranks) {
  MoveTo(JobState::kRunning);
  told_position_ = -1;
  if (first_attempt_ranks_ == 0) first_attempt_ranks_ = ranks;
  attempt_ = {.number = attempt_.number + 1, .ranks = ranks, .started_at = now};
}

void Job::NoteInterruption(TimePoint now, const RunResult& result) {
  interruptions_.first_at = std::min(interruptions_.first_at, now);
  interruptions_.latest =
      absl::StrCat("rank ", result.rank, ": ", std::string(result.status.message()));
  interruptions_.always_broke &= result.outcome == RunOutcome::kBroken;
}

void Job::TellPosition(int position, std::optional<double> predicted_wait_s) {
  if (position == told_position_) return;
  told_position_ = position;
  listener_->OnQueued(position, predicted_wait_s);
}

JobStage Job::stage() const {
  if (state_ == JobState::kQueued) return JobStage::kQueue;
  return state_ == JobState::kEncoding ? JobStage::kPng : attempt_.stage;
}

void Job::Stop(JobState terminal) {
  MoveTo(JobState::kStopping);
  stopping_towards_ = terminal;
}

void Job::Finish(JobState terminal, JobResult result) {
  Check(IsTerminal(terminal), "a job finishes in a terminal state");
  MoveTo(terminal);
  listener_->OnFinished(std::move(result));
}

void Job::MoveTo(JobState next) {
  Check(IsLegalTransition(state_, next), "a job takes a legal transition");
  state_ = next;
}

}  // namespace tessera
