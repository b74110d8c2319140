#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "server/jobs/job.h"
#include "server/jobs/job_listener.h"
#include "server/jobs/scheduler.h"
#include "server/loop/clock.h"

namespace tessera {

struct IdempotentCallsOptions {
  int64_t max_bytes = 64 << 20;  // of answers that are kept
  double keep_s = 600;           // after a job has succeeded
  int64_t max_unary_reply_bytes = 4 << 20;
};

// In front of the scheduler: calls with the same request_id and content share one job. The second
// joins it while it waits or runs, and gets its answer again for a while after it has succeeded.
// Failures are not kept: the next call tries again. The job is given up when the last of its calls
// has left. Used on the event loop's thread.
class IdempotentCalls {
 public:
  // `scheduler` outlives this.
  IdempotentCalls(const IdempotentCallsOptions& options, const Clock& clock, Scheduler& scheduler);
  ~IdempotentCalls();

  // As Scheduler::Submit. `spec.id` names the call, and the job if the call makes one.
  void Submit(JobSpec spec, std::shared_ptr<JobListener> listener);

  // The client of this call has left.
  void Abandon(const std::string& call_id);

  // Calls that made no job of their own.
  int64_t joined() const { return joined_; }

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
  // The result, or that it does not fit this kind of reply.
  JobResult ReplyTo(ReplyKind reply, const JobResult& result) const;

  const IdempotentCallsOptions options_;
  const Clock& clock_;
  Scheduler& scheduler_;
  std::map<std::string, Entry> entries_;                           // by request_id
  std::map<std::string, std::shared_ptr<SharedJob>> job_of_call_;  // by call id
  std::deque<std::string> answered_;                               // request_ids, oldest first
  int64_t bytes_ = 0;                                              // of all answers
  int64_t joined_ = 0;
};

}  // namespace tessera
