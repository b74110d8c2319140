#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/kernels/fp8_rows.h"
#include "worker/weights/safetensors_file.h"

namespace tessera {

// FP8 tensors as checkpoints store them: F8_E4M3, and for `<layer>.weight` a tensor beside it that
// its rows are to be multiplied with: `<layer>.weight_scale` (compressed-tensors, ModelOpt,
// ComfyUI) or `<layer>.scale_weight` (ComfyUI's older files), F32, F16 or BF16, [] or [1] for all
// rows, [rows] or [rows, 1] for each. Without one, and for tensors of other names, the scale is 1.

bool IsStoredFp8(const TensorEntry& entry);

// The FP8 tensor `name` of `sources`, which hold no name twice, as rows [size of its first
// dimension, product of the others]. Values are a view as SafetensorsFile::Read gives it, one scale
// for all rows is an expanded view.
// INVALID_ARGUMENT, naming file, tensor and what was expected, for a scale that is not as above or
// not finite.
absl::StatusOr<Fp8Rows> ReadFp8(const std::vector<SafetensorsFile>& sources,
                                const std::string& name);

// The names of what may stand beside FP8 tensor `name`: scales, and what is not needed here, such
// as a scale for the layer's input, whose rows have scales of their own.
std::vector<std::string> Fp8Companions(const std::string& name);

}  // namespace tessera
