#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "server/jobs/job.h"
#include "server/jobs/job_listener.h"
#include "server/jobs/job_observer.h"
#include "server/jobs/scheduler.h"
#include "server/loop/clock.h"

namespace tessera {

struct IdempotentCallsOptions {
  int64_t max_bytes = 64 << 20;  // of answers that are kept
  double keep_s = 600;           // after a job has succeeded
};

// In front of the scheduler: calls with the same request_id and content share one job. The second
// joins it while it waits or runs, and gets its answer again for a while after it has succeeded.
// Failures are not kept: the next call tries again. The job is cancelled when the last of its calls
// has left. Used on the event loop's thread.
class IdempotentCalls {
 public:
  // All references outlive the object.
  IdempotentCalls(const IdempotentCallsOptions& options, const Clock& clock, Scheduler& scheduler,
                  JobObserver& observer);
  ~IdempotentCalls();

  // As Scheduler::Submit. `spec.id` names the call, and the job if the call makes one.
  void Submit(JobSpec spec, std::shared_ptr<JobListener> listener);

  // The client of this call has left.
  void Cancel(const std::string& call_id);

 private:
  class SharedJob;
  struct Answer {
    JobSuccess success;
    int64_t bytes = 0;
    TimePoint expires_at;
  };
  struct Entry {
    std::string content;             // of the request
    std::shared_ptr<SharedJob> job;  // null once it has succeeded
    std::optional<Answer> answer;
  };

  void Start(JobSpec spec, std::string content, std::shared_ptr<JobListener> listener);
  // By the job, at its end.
  void OnFinished(const SharedJob& job, const JobResult& result);
  // Past their time, and the oldest beyond max_bytes.
  void ForgetOldAnswers();
  void Notify(JobEvent event, const JobSpec& call, const std::string& job_id);

  const IdempotentCallsOptions options_;
  const Clock& clock_;
  Scheduler& scheduler_;
  JobObserver& observer_;
  std::map<std::string, Entry> entries_;                           // by request_id
  std::map<std::string, std::shared_ptr<SharedJob>> job_of_call_;  // by call id
  std::deque<std::string> answered_;                               // request_ids, oldest first
  int64_t bytes_ = 0;                                              // of all answers
};

}  // namespace tessera
