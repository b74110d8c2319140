#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "worker/weights/safetensors_header.h"
#include "worker/weights/safetensors_json.h"

namespace {

constexpr uint64_t kMaxDataBytes = 1 << 16;

// A header that is accepted keeps what its contract promises: tensors inside the file, in the size
// of their shape, none over another.
void CheckFile(std::string_view file) {
  const auto header = tessera::ParseSafetensorsHeader(file);
  if (!header.ok()) return;
  uint64_t header_bytes = file.size();
  uint64_t data_bytes = 0;
  for (const auto& [name, tensor] : header->tensors) {
    if (tensor.begin > tensor.end || tensor.end > file.size()) std::abort();
    header_bytes = std::min(header_bytes, tensor.begin);
    data_bytes += tensor.end - tensor.begin;
    if (!tensor.type.has_value()) continue;
    uint64_t bytes = c10::elementSize(*tensor.type);
    for (const int64_t extent : tensor.shape) bytes *= static_cast<uint64_t>(extent);
    if (bytes != tensor.end - tensor.begin) std::abort();
  }
  if (header_bytes + data_bytes != file.size()) std::abort();
}

// A file of this header and as much data as it asks for, within reason. Mutations of a whole file
// hardly ever keep the two in step.
void CheckHeader(std::string_view json) {
  const auto header = tessera::ParseSafetensorsJson(json);
  if (!header.ok()) return;
  uint64_t data_bytes = 0;
  for (const auto& [name, tensor] : header->tensors) data_bytes = std::max(data_bytes, tensor.end);
  const uint64_t size = json.size();
  std::string file(reinterpret_cast<const char*>(&size), sizeof(size));
  file.append(json);
  file.append(std::min(data_bytes, kMaxDataBytes), '\0');
  CheckFile(file);
}

}  // namespace

// The input is a header's JSON if it begins like one, else a file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (!input.empty() && input.front() == '{') {
    CheckHeader(input);
  } else {
    CheckFile(input);
  }
  return 0;
}
