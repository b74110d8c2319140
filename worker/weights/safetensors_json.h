#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "worker/weights/safetensors_header.h"

namespace tessera {

// The JSON part of ParseSafetensorsHeader: names, dtypes, shapes and offsets as the text has them,
// offsets from the start of the data. Nothing is kept but what the format allows, so memory is
// bounded by the text's size whatever its nesting. INVALID_ARGUMENT for anything that is not such a
// header, duplicate keys included.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsJson(std::string_view text);

}  // namespace tessera
