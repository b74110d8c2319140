#pragma once

#include <string>

#include "common/base/status_macros.h"
#include "common/model/weight_files.h"
#include "worker/weights/weight_reader.h"

namespace tessera::testing {

// Opens folder/stem.safetensors, or the shards of its index.
inline absl::StatusOr<WeightReader> OpenWeights(const std::string& folder, const std::string& stem,
                                                const WeightOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(const WeightFiles files,
                           FindWeightFiles(folder, stem, Precedence::kSingleFile));
  return WeightReader::Open(files, options);
}

}  // namespace tessera::testing
