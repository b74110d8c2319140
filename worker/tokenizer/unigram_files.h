#pragma once

#include "absl/status/statusor.h"
#include "common/model/checkpoint.h"
#include "worker/tokenizer/spiece_model.h"

namespace tessera {

// Reads spiece.model of T5's tokenizer, or the "model" and "normalizer" of tokenizer.json where
// there is no spiece.model. NOT_FOUND, or INVALID_ARGUMENT naming file and field.
absl::StatusOr<UnigramModel> ReadUnigramFiles(const Checkpoint& checkpoint);

}  // namespace tessera
