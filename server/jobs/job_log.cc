#include "server/jobs/job_log.h"

#include "common/base/quote.h"
#include "spdlog/spdlog.h"

namespace tessera {
namespace {

void LogEnd(const JobTransition& transition) {
  const Job& job = *transition.job;
  spdlog::info(
      "event=job_ended job={} state={} attempts={} steps_done={} total_s={:.3f} why=\"{}\"",
      job.id(), JobStateName(transition.ends_as), job.attempt().number, job.attempt().steps_done,
      SecondsBetween(job.spec().submitted_at, transition.now),
      transition.error == nullptr ? "" : transition.error->message);
}

}  // namespace

void JobLog::OnTransition(const JobTransition& transition) {
  const Job* const job = transition.job;
  switch (transition.event) {
    case JobEvent::kRefused:
      return spdlog::info("event=job_refused job={} reason={} why=\"{}\"", transition.call.id,
                          transition.error->reason, transition.error->message);
    case JobEvent::kJoined:
      return spdlog::info("event=call_joined call={} job={}", transition.call.id,
                          transition.job_id);
    case JobEvent::kAnsweredAgain:
      return spdlog::info("event=call_answered_again call={} job={}", transition.call.id,
                          transition.job_id);
    case JobEvent::kAdmitted:
      spdlog::info("event=job_admitted job={} queue_length={}", job->id(), transition.in_front);
      return spdlog::debug("event=job_prompt job={} prompt={}", job->id(),
                           Quote(job->spec().request.prompt()));
    case JobEvent::kAttemptStarted:
      return spdlog::info("event=job_started job={} attempt={} ranks={}", job->id(),
                          job->attempt().number, job->attempt().ranks);
    case JobEvent::kCancelling:
      return spdlog::info("event=job_cancelling job={} why={} steps_done={}", job->id(),
                          JobStateName(job->cancelled_as()), job->attempt().steps_done);
    case JobEvent::kInterrupted:
      return spdlog::warn("event=job_interrupted job={} attempt={} steps_done={} why=\"{}\"",
                          job->id(), job->attempt().number, job->attempt().steps_done,
                          job->interruptions().latest);
    case JobEvent::kEnded:
      return LogEnd(transition);
    case JobEvent::kRequeued:
    case JobEvent::kEncoding:
      return;  // the line before or the next one tells
  }
}

}  // namespace tessera
