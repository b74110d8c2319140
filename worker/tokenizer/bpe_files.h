#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/tokenizer/bpe.h"

namespace tessera {

struct BpeFiles {
  std::string merges_path;  // the file they come from
  BpeVocabulary vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  // by rank
};

// Reads vocab.json and merges.txt of a tokenizer folder, or the "model" of tokenizer.json where
// there is no vocab.json. NOT_FOUND, or INVALID_ARGUMENT naming file and field or line.
absl::StatusOr<BpeFiles> ReadBpeFiles(const std::string& folder);

}  // namespace tessera
