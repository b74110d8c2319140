#include "server/jobs/retry_policy.h"

namespace tessera {

bool RetryPolicy::RunsAgain(const Job& job, TimePoint now) const {
  return job.attempt().number < options_.max_attempts && now < Until(job);
}

TimePoint RetryPolicy::Until(const Job& job) const {
  const TimePoint first_at = job.interruptions().first_at;
  return first_at == kNever ? kNever : first_at + Seconds(options_.retry_window_s);
}

bool RetryPolicy::BreaksGroups(const Job& job) const {
  return options_.max_attempts > 1 && job.interruptions().always_broke &&
         job.attempt().number >= options_.max_attempts;
}

}  // namespace tessera
