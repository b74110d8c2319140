#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/jobs/job.h"
#include "server/request/job_error.h"
#include "server/workers/job_run.h"

namespace tessera {

// Every error that a client can get, in one place: code, reason, words and details.

JobError InvalidRequest(std::vector<FieldViolation> violations);
JobError QueueFull(int max_length, double retry_after_s);
JobError ReplyTooLarge(int64_t worst_case_bytes, int64_t limit_bytes);
JobError TooLargeForMemory(std::string why);
JobError DeadlineCannotBeMet(double shortest_s, double allowed_s);
JobError Draining();
// No group can be formed.
JobError NoGroup(const std::string& why);

// Of a job where it stands: its stage and the steps it has done go into the details.
JobError DeadlinePassed(const Job& job);
JobError Cancelled(const Job& job);
// The client of one of the calls that share a job has left.
JobError CallLeft(const std::string& job_id);
// It was interrupted, and may not run again.
JobError WorkerLost(const Job& job);
// Every attempt broke the group that it ran on.
JobError JobBreaksWorkers(const Job& job);
// A rank's own error.
JobError GenerationFailed(const Job& job, const RunResult& result);
// Its PNGs could not be written.
JobError EncodingFailed(const Job& job, const absl::Status& status);
// The server ends without waiting for the job.
JobError ServerStopped();

}  // namespace tessera
