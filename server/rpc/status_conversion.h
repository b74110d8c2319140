#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include "server/request/job_error.h"

namespace tessera {

// The only place that makes an error a gRPC status: google.rpc.Status with ErrorInfo (domain
// "tessera"), BadRequest when fields are to blame, and RetryInfo when the same call may succeed
// later.
grpc::Status ToGrpcStatus(const JobError& error);

// What goes with it into the call's trailing metadata: `grpc-retry-pushback-ms`, by which gRPC's
// own retries wait as long as RetryInfo says.
void AddPushback(const JobError& error, grpc::ServerContextBase& context);

}  // namespace tessera
