#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace tessera {

// The numeric address of the interface that this machine reaches `server` ("HOST:PORT") through; a
// loopback address for a server on loopback. INVALID_ARGUMENT when there is no port; UNAVAILABLE
// when the host is unknown or unreachable (by now: names may appear later).
absl::StatusOr<std::string> LocalAddressTowards(const std::string& server);

}  // namespace tessera
