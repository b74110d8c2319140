#include "server/jobs/job_counter.h"

namespace tessera {

void JobCounter::OnTransition(const JobTransition& transition) {
  switch (transition.event) {
    case JobEvent::kRefused:
      return tallies_.set_refused(tallies_.refused() + 1);
    case JobEvent::kJoined:
    case JobEvent::kAnsweredAgain:
      return tallies_.set_joined(tallies_.joined() + 1);
    case JobEvent::kAdmitted:
      return tallies_.set_admitted(tallies_.admitted() + 1);
    case JobEvent::kAttemptStarted:
      return tallies_.set_attempts(tallies_.attempts() + 1);
    case JobEvent::kEnded:
      return CountEnd(transition.ends_as);
    case JobEvent::kCancelling:
    case JobEvent::kInterrupted:
    case JobEvent::kRequeued:
    case JobEvent::kEncoding:
      return;
  }
}

void JobCounter::CountEnd(JobState state) {
  switch (state) {
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

}  // namespace tessera
