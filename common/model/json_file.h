#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace tessera {

// Reads a JSON file whose top level is an object. Errors name the path: NOT_FOUND, INVALID_ARGUMENT
// (invalid JSON, another top level, larger than max_bytes). The value comes from outside: do not
// copy, compare or dump what may be nested deeply.
absl::StatusOr<nlohmann::json> ReadJsonFile(const std::string& path, size_t max_bytes = 4 << 20);

// The same for text that has been read from the file at `path`.
absl::StatusOr<nlohmann::json> ParseJsonFile(const std::string& path, const std::string& text);

}  // namespace tessera
