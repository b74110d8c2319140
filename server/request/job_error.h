#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tessera {

// What is wrong with one field of a request, as google.rpc.BadRequest tells it.
struct FieldViolation {
  std::string field;
  std::string description;  // what was expected and what came
};

// google.rpc.ErrorInfo's `reason`, in the domain "tessera".
namespace reason {
inline constexpr char kInvalidRequest[] = "INVALID_REQUEST";
inline constexpr char kQueueFull[] = "QUEUE_FULL";
inline constexpr char kReplyTooLarge[] = "REPLY_TOO_LARGE";
inline constexpr char kDeadlineCannotBeMet[] = "DEADLINE_CANNOT_BE_MET";
inline constexpr char kDeadlinePassed[] = "DEADLINE_PASSED";
inline constexpr char kCancelled[] = "CANCELLED";
inline constexpr char kDraining[] = "DRAINING";
inline constexpr char kNoGroup[] = "NO_GROUP";
inline constexpr char kWorkerLost[] = "WORKER_LOST";
inline constexpr char kJobBreaksWorkers[] = "JOB_BREAKS_WORKERS";
inline constexpr char kOutOfDeviceMemory[] = "OUT_OF_DEVICE_MEMORY";
inline constexpr char kGenerationFailed[] = "GENERATION_FAILED";
}  // namespace reason

// Why a job was refused or ended without a picture. Knows no gRPC: status_conversion.h turns it
// into a status with details.
struct JobError {
  absl::StatusCode code = absl::StatusCode::kInternal;
  std::string reason;   // of namespace reason
  std::string message;  // for a person
  std::map<std::string, std::string> metadata = {};
  std::optional<double> retry_after_s = std::nullopt;  // present: the same call may succeed later
  std::vector<FieldViolation> violations = {};
};

}  // namespace tessera
