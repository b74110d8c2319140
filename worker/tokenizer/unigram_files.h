#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "worker/tokenizer/spiece_model.h"

namespace tessera {

// Reads spiece.model of a tokenizer folder, or the "model" and "normalizer" of tokenizer.json where
// there is no spiece.model. NOT_FOUND, or INVALID_ARGUMENT naming file and field.
absl::StatusOr<UnigramModel> ReadUnigramFiles(const std::string& folder);

}  // namespace tessera
