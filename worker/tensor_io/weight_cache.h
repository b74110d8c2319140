#pragma once

#include <c10/core/ScalarType.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/tensor_io/load_progress.h"
#include "worker/tensor_io/safetensors_file.h"

namespace tessera {

// What is to be converted: the float tensors (F32, F16, BF16) of `sources` whose type is not
// `dtype`.
struct Conversion {
  std::vector<SafetensorsFile> sources;  // no tensor name twice
  at::ScalarType dtype = at::kFloat;
  std::string cache_dir;  // created if need be
  LoadProgressCallback on_progress;
};

// Whether a tensor of that stored type can be converted to, or is, a compute type.
bool IsWeightType(const TensorEntry& entry);

// Returns a file of the converted tensors, made by the first process of the host that asks and
// mapped by the others, who wait for it. It is written to a temporary name, synced and renamed, so
// an unfinished file is never used; one that is damaged, or was made from other sources (path,
// size, time of last change), is made anew in its place. Errors name the path: DATA_LOSS (a source
// changed meanwhile), RESOURCE_EXHAUSTED (disk full), PERMISSION_DENIED, ...
absl::StatusOr<SafetensorsFile> OpenConverted(const Conversion& conversion);

// WeightOptions::cache_dir's default: $TESSERA_CACHE_DIR, else $XDG_CACHE_HOME/tessera, else
// ~/.cache/tessera, else tessera-<user id> in the temporary directory.
std::string DefaultCacheDir();

}  // namespace tessera
