#include "server/jobs/job_errors.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tessera {
namespace {

constexpr double kRetryElsewhereS =
    5;                           // a server that ends, or has no group: try another, or later
constexpr double kRegroupS = 2;  // about what it takes to replace a rank

std::map<std::string, std::string> Where(const Job& job) {
  return {{"job_id", job.id()},
          {"stage", std::string(StageName(job.stage()))},
          {"steps_done", absl::StrCat(job.attempt().steps_done)},
          {"attempts", absl::StrCat(job.attempt().number)}};
}

std::string InWords(const Job& job) {
  if (job.state() == JobState::kQueued) return "in the queue";
  return absl::StrCat("in ", std::string(StageName(job.stage())), " after ",
                      job.attempt().steps_done, " of ", job.effective()->num_inference_steps(),
                      " steps");
}

std::string Attempts(const Job& job) {
  const int number = job.attempt().number;
  return absl::StrCat(number, number == 1 ? " attempt" : " attempts");
}

std::string InSeconds(double seconds) { return absl::StrFormat("%.3f", seconds); }

}  // namespace

JobError InvalidRequest(std::vector<FieldViolation> violations) {
  std::string message = "the request is invalid";
  for (const FieldViolation& violation : violations) {
    absl::StrAppend(&message, "; ", violation.field, " ", violation.description);
  }
  return {.code = absl::StatusCode::kInvalidArgument,
          .reason = reason::kInvalidRequest,
          .message = std::move(message),
          .violations = std::move(violations)};
}

JobError QueueFull(int max_length, double retry_after_s) {
  return {.code = absl::StatusCode::kResourceExhausted,
          .reason = reason::kQueueFull,
          .message = absl::StrCat("the queue is full: ", max_length, " jobs wait"),
          .metadata = {{"max_queue_length", absl::StrCat(max_length)}},
          .retry_after_s = retry_after_s};
}

JobError ReplyTooLarge(int64_t worst_case_bytes, int64_t limit_bytes) {
  return {.code = absl::StatusCode::kResourceExhausted,
          .reason = reason::kReplyTooLarge,
          .message = absl::StrCat("the reply may take ", worst_case_bytes,
                                  " bytes, more than this server's limit of ", limit_bytes,
                                  " for one message: use StreamGenerateImage"),
          .metadata = {{"worst_case_bytes", absl::StrCat(worst_case_bytes)},
                       {"max_unary_reply_bytes", absl::StrCat(limit_bytes)}}};
}

JobError TooLargeForMemory(std::string why) {
  return {.code = absl::StatusCode::kResourceExhausted,
          .reason = reason::kOutOfDeviceMemory,
          .message = std::move(why)};
}

JobError DeadlineCannotBeMet(double shortest_s, double allowed_s) {
  return {.code = absl::StatusCode::kDeadlineExceeded,
          .reason = reason::kDeadlineCannotBeMet,
          .message = absl::StrCat("the pictures would take at least ", InSeconds(shortest_s),
                                  " s, the deadline allows ", InSeconds(allowed_s), " s"),
          .metadata = {{"shortest_s", InSeconds(shortest_s)}, {"allowed_s", InSeconds(allowed_s)}}};
}

JobError Draining() {
  return {.code = absl::StatusCode::kUnavailable,
          .reason = reason::kDraining,
          .message = "the server is shutting down",
          .retry_after_s = kRetryElsewhereS};
}

JobError NoGroup(const std::string& why) {
  return {.code = absl::StatusCode::kUnavailable,
          .reason = reason::kNoGroup,
          .message = absl::StrCat("no group of workers can be formed: ", why),
          .retry_after_s = kRetryElsewhereS};
}

JobError DeadlinePassed(const Job& job) {
  return {.code = absl::StatusCode::kDeadlineExceeded,
          .reason = reason::kDeadlinePassed,
          .message = absl::StrCat("the deadline passed ", InWords(job)),
          .metadata = Where(job)};
}

JobError Cancelled(const Job& job) {
  return {.code = absl::StatusCode::kCancelled,
          .reason = reason::kCancelled,
          .message = absl::StrCat("the client left ", InWords(job)),
          .metadata = Where(job)};
}

JobError CallLeft(const std::string& job_id) {
  return {.code = absl::StatusCode::kCancelled,
          .reason = reason::kCancelled,
          .message = absl::StrCat("the client left; job ", job_id, " goes on for other calls"),
          .metadata = {{"job_id", job_id}}};
}

JobError WorkerLost(const Job& job) {
  return {.code = absl::StatusCode::kUnavailable,
          .reason = reason::kWorkerLost,
          .message = absl::StrCat("job ", job.id(), " was interrupted in ", Attempts(job),
                                  ", at last: ", job.interruptions().latest),
          .metadata = Where(job),
          .retry_after_s = kRegroupS};
}

JobError JobBreaksWorkers(const Job& job) {
  return {.code = absl::StatusCode::kInternal,
          .reason = reason::kJobBreaksWorkers,
          .message = absl::StrCat("job ", job.id(), " broke the group that it ran on in ",
                                  Attempts(job), ", at last: ", job.interruptions().latest),
          .metadata = Where(job)};
}

JobError GenerationFailed(const Job& job, const RunResult& result) {
  JobError error = {
      .code = absl::StatusCode::kInternal,
      .reason = reason::kGenerationFailed,
      .message = absl::StrCat("job ", job.id(), " failed ", InWords(job), ": rank ", result.rank,
                              ": ", std::string(result.status.message())),
      .metadata = Where(job)};
  error.metadata["rank"] = absl::StrCat(result.rank);
  if (result.status.code() == absl::StatusCode::kResourceExhausted ||
      result.status.code() == absl::StatusCode::kOutOfRange) {
    error.code = absl::StatusCode::kResourceExhausted;
    error.reason = reason::kOutOfDeviceMemory;
  } else if (result.status.code() == absl::StatusCode::kInvalidArgument) {
    error.code = absl::StatusCode::kInvalidArgument;
    error.reason = reason::kInvalidRequest;
  }
  return error;
}

JobError EncodingFailed(const Job& job, const absl::Status& status) {
  return {.code = absl::StatusCode::kInternal,
          .reason = reason::kGenerationFailed,
          .message = absl::StrCat("job ", job.id(), " failed ", InWords(job), ": ",
                                  std::string(status.message())),
          .metadata = Where(job)};
}

JobError ServerStopped() {
  return {.code = absl::StatusCode::kUnavailable,
          .reason = reason::kDraining,
          .message = "the server stopped before the job was done",
          .retry_after_s = kRetryElsewhereS};
}

}  // namespace tessera
