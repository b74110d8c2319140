#pragma once

#include "absl/status/status.h"
#include "worker/link/worker_flags.h"

namespace tessera {

// Keeps one child process of this program per device of `flags.devices` until SIGTERM or SIGINT,
// which the caller has blocked in every thread; then ends them. NOT_FOUND when this program cannot
// be executed.
absl::Status RunDeviceParent(const WorkerFlags& flags);

}  // namespace tessera
