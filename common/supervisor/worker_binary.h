#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace tessera {

// The path of tessera-worker: beside this process's own executable, or where the build tree has it
// (../worker). NOT_FOUND names both places.
absl::StatusOr<std::string> FindWorkerBinary();

}  // namespace tessera
