#include "client/server_error.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace tessera {
namespace {

using google::protobuf::util::TimeUtil;

struct Details {
  google::rpc::BadRequest bad_request;
  google::rpc::ErrorInfo error_info;
  std::optional<double> retry_delay_s;
};

// What is no detail we know, or cannot be parsed, is left out.
Details ParseDetails(const std::string& serialized) {
  Details details;
  google::rpc::Status status;
  if (!status.ParseFromString(serialized)) return details;
  for (const google::protobuf::Any& any : status.details()) {
    google::rpc::RetryInfo retry;
    if (any.UnpackTo(&details.bad_request) || any.UnpackTo(&details.error_info)) continue;
    if (!any.UnpackTo(&retry)) continue;
    details.retry_delay_s =
        static_cast<double>(TimeUtil::DurationToNanoseconds(retry.retry_delay())) / 1e9;
  }
  return details;
}

std::string InWords(const grpc::Status& status, const Details& details) {
  if (details.bad_request.field_violations().empty()) return status.error_message();
  std::string text = "the request is invalid:";
  for (const auto& violation : details.bad_request.field_violations()) {
    absl::StrAppend(&text, "\n  ", violation.field(), ": ", violation.description());
  }
  return text;
}

// gRFC A6: a negative or unreadable time means not to come back.
enum class Pushback { kAbsent, kAfter, kNever };

Pushback ReadPushback(const grpc::ClientContext& context, std::optional<double>& delay_s) {
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto found = trailers.find("grpc-retry-pushback-ms");
  if (found == trailers.end()) return Pushback::kAbsent;
  int64_t milliseconds = -1;
  const std::string value(found->second.data(), found->second.size());
  if (!absl::SimpleAtoi(value, &milliseconds) || milliseconds < 0) return Pushback::kNever;
  if (!delay_s.has_value()) delay_s = static_cast<double>(milliseconds) / 1e3;
  return Pushback::kAfter;
}

}  // namespace

ServerError ReadServerError(const grpc::Status& status, const grpc::ClientContext& context) {
  if (status.ok()) return {};
  const Details details = ParseDetails(status.error_details());
  ServerError error;
  error.status =
      absl::Status(static_cast<absl::StatusCode>(status.error_code()), InWords(status, details));
  error.retry_delay_s = details.retry_delay_s;
  const Pushback pushback = ReadPushback(context, error.retry_delay_s);
  error.may_retry = pushback != Pushback::kNever &&
                    (absl::IsUnavailable(error.status) ||
                     (absl::IsResourceExhausted(error.status) && error.retry_delay_s.has_value()));
  return error;
}

}  // namespace tessera
