#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"

namespace tessera {

// The secret that a file holds, without the white space around it. INVALID_ARGUMENT naming the file
// when there is none, or more than 4 KiB; else as ReadFile.
inline absl::StatusOr<std::string> ReadTokenFile(const std::string& path) {
  constexpr size_t kMaxBytes = 4096;
  TESSERA_ASSIGN_OR_RETURN(const std::string content, ReadFile(path, kMaxBytes));
  const std::string token(absl::StripAsciiWhitespace(content));
  if (token.empty()) return absl::InvalidArgumentError(path + ": holds no token");
  return token;
}

}  // namespace tessera
