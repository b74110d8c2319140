#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <optional>

#include "absl/status/status.h"

namespace tessera {

// How a call ended.
struct ServerError {
  // The server's message with its google.rpc details in words, each field violation on a line of
  // its own.
  absl::Status status;
  // Whether the same call may succeed later: UNAVAILABLE, and RESOURCE_EXHAUSTED with a time to
  // come back.
  bool may_retry = false;
  // When to come back, by google.rpc.RetryInfo or grpc-retry-pushback-ms.
  std::optional<double> retry_delay_s;
};

// `context` is that of the finished call.
ServerError ReadServerError(const grpc::Status& status, const grpc::ClientContext& context);

}  // namespace tessera
