#include "server/rpc/status_conversion.h"

#include <grpcpp/support/error_details.h>

#include <cmath>
#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/loop/duration.h"

namespace tessera {
namespace {

constexpr char kDomain[] = "tessera";
// Statuses travel in trailers, of which clients take 8 KiB, and the message is in there twice.
constexpr size_t kMaxMessageBytes = 1000;

std::string Cut(const std::string& message) {
  if (message.size() <= kMaxMessageBytes) return message;
  size_t end = kMaxMessageBytes;
  while (end > 0 && (static_cast<uint8_t>(message[end]) & 0xC0) == 0x80) --end;  // UTF-8
  return message.substr(0, end) + "...";
}

}  // namespace

grpc::Status ToGrpcStatus(const JobError& error) {
  const std::string message = Cut(error.message);
  google::rpc::Status status;
  status.set_code(static_cast<int>(error.code));  // absl's codes are google.rpc.Code's
  status.set_message(message);

  google::rpc::ErrorInfo info;
  info.set_reason(error.reason);
  info.set_domain(kDomain);
  info.mutable_metadata()->insert(error.metadata.begin(), error.metadata.end());
  status.add_details()->PackFrom(info);

  if (!error.violations.empty()) {
    google::rpc::BadRequest bad_request;
    for (const FieldViolation& violation : error.violations) {
      google::rpc::BadRequest::FieldViolation& field = *bad_request.add_field_violations();
      field.set_field(violation.field);
      field.set_description(violation.description);
    }
    status.add_details()->PackFrom(bad_request);
  }
  if (error.retry_after_s.has_value()) {
    google::rpc::RetryInfo retry;
    *retry.mutable_retry_delay() = ToDuration(*error.retry_after_s);
    status.add_details()->PackFrom(retry);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(error.code), message,
                      status.SerializeAsString());
}

void AddPushback(const JobError& error, grpc::ServerContextBase& context) {
  if (!error.retry_after_s.has_value()) return;
  const auto milliseconds = static_cast<int64_t>(std::ceil(*error.retry_after_s * 1000));
  context.AddTrailingMetadata("grpc-retry-pushback-ms", std::to_string(milliseconds));
}

}  // namespace tessera
