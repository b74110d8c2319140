#pragma once

#include <stop_token>

#include "absl/status/status.h"
#include "client/client_flags.h"

namespace tessera {

// `tessera generate`: progress on standard error, files, and on standard output the pictures (on a
// terminal) and a line about each.
absl::Status RunGenerate(const ClientFlags& flags, const std::stop_token& stop);

}  // namespace tessera
