#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tessera {

// One tensor of a safetensors file.
struct TensorEntry {
  std::string dtype;                   // as the file has it, "BF16"
  std::optional<at::ScalarType> type;  // nullopt: a dtype that this library does not know
  std::vector<int64_t> shape;          // its product fits int64_t even when zeros count as ones
  uint64_t begin = 0;                  // bytes from the start of the file
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::map<std::string, TensorEntry> tensors;
  std::map<std::string, std::string> metadata;
};

// Parses the header of a safetensors file: a little-endian u64 n of at most 100 MB, n bytes of
// JSON, the data. `file` is the whole file, of which only the header is read. The file is not
// trusted: on success every tensor lies in the file, fits its shape and dtype (if known), and the
// tensors fill the data without overlap or hole, as the format demands
// (https://github.com/huggingface/safetensors#format). Errors: INVALID_ARGUMENT, DATA_LOSS
// (truncated file).
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view file);

// "BF16" for kBFloat16; empty for a type without a name in the format.
std::string SafetensorsDtype(at::ScalarType type);

// "BF16 [2, 3]", for messages.
std::string DescribeTensor(const std::string& dtype, const std::vector<int64_t>& shape);

}  // namespace tessera
