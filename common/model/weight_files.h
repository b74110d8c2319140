#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tessera {

// Which files hold the weights of one part of a checkpoint.
struct WeightFiles {
  std::vector<std::string> names;            // in `folder`, sorted, no duplicates
  std::map<std::string, std::string> index;  // tensor -> file name; empty without an index
};

// Finds folder/stem.safetensors, or else the shards that folder/stem.safetensors.index.json names.
// The index is not trusted: its file names are plain names of .safetensors files. The files
// themselves are not opened. Errors: NOT_FOUND when there is neither, INVALID_ARGUMENT for the
// index, all its problems at once.
absl::StatusOr<WeightFiles> FindWeightFiles(const std::string& folder, const std::string& stem);

}  // namespace tessera
