#pragma once

#include <grpc/support/time.h>

#include "server/loop/clock.h"

namespace tessera {

// The deadline of a call, as gRPC has it, on the server's clock. A deadline more than 100 years
// ahead is kNever: clients say "never" by times that int64 nanoseconds cannot hold. Thread-safe.
TimePoint DeadlineOf(gpr_timespec deadline, TimePoint now);

}  // namespace tessera
