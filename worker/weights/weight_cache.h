#pragma once

#include <c10/core/ScalarType.h>

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/weights/load_progress.h"
#include "worker/weights/safetensors_file.h"

namespace tessera {

// Whether tensors stored in FP8 are converted, like the others, or left as they are.
enum class StoredFp8 { kConvert, kKeep };

// What is to be converted: the tensors of `sources` whose stored type is a weight's (below) and not
// `dtype`.
struct Conversion {
  std::string part;                      // of the checkpoint: begins the file's name
  std::vector<SafetensorsFile> sources;  // no tensor name twice
  at::ScalarType dtype = at::kFloat;
  std::string cache_dir;  // created if need be
  LoadProgressCallback on_progress;
  StoredFp8 stored_fp8 = StoredFp8::kConvert;
  // For another process that holds the lock and shows no progress.
  std::chrono::milliseconds lock_patience = std::chrono::minutes(1);
};

// Whether a tensor of that stored type (F32, F16, BF16, F8_E4M3) can be converted to a compute
// type.
bool IsWeightType(const TensorEntry& entry);

bool NeedsConversion(const TensorEntry& entry, const Conversion& conversion);

// Returns a file that holds the converted tensors (those of FP8 with their scales, stored_fp8.h),
// and perhaps others that were wanted before; made by the first process of the host that asks and
// mapped by the others, who wait for it. It is written to a temporary name, synced and renamed, so
// an unfinished file is never used; one that differs from its checksum, or was made from sources of
// other content, is made anew in its place. Errors name the path: DATA_LOSS (a source changed
// meanwhile), RESOURCE_EXHAUSTED (disk full), PERMISSION_DENIED, DEADLINE_EXCEEDED (another process
// holds the lock and writes nothing), ...
absl::StatusOr<SafetensorsFile> OpenConverted(const Conversion& conversion);

// WeightOptions::cache_dir's default: $TESSERA_CACHE_DIR, else $XDG_CACHE_HOME/tessera, else
// ~/.cache/tessera, else tessera-<user id> in the temporary directory.
std::string DefaultCacheDir();

}  // namespace tessera
