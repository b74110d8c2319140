#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/model/checkpoint.h"

namespace tessera {

// What is read where a folder has both a single file and an index.
enum class Precedence { kSingleFile, kIndex };

// Finds folder/stem.safetensors, or the shards that folder/stem.safetensors.index.json names. The
// part is the folder's name. The index is not trusted: its file names are plain names of
// .safetensors files. The files themselves are not opened. Errors: NOT_FOUND when there is neither,
// INVALID_ARGUMENT for the index, all its problems at once.
absl::StatusOr<WeightFiles> FindWeightFiles(const std::string& folder, const std::string& stem,
                                            Precedence precedence);

}  // namespace tessera
