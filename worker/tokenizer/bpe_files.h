#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/checkpoint.h"
#include "worker/tokenizer/bpe.h"

namespace tessera {

struct BpeFiles {
  std::string merges_path;  // the file they come from
  BpeVocabulary vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  // by rank
};

// Reads vocab.json and merges.txt of CLIP's tokenizer, or the "model" of tokenizer.json where there
// is no vocab.json. NOT_FOUND, or INVALID_ARGUMENT naming file and field or line.
absl::StatusOr<BpeFiles> ReadBpeFiles(const Checkpoint& checkpoint);

}  // namespace tessera
