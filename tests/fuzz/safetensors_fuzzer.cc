#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "worker/tensor_io/safetensors_header.h"

// A header that is accepted keeps what its contract promises: tensors inside the file, in the size
// of their shape.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  const auto header = tessera::ParseSafetensorsHeader(file);
  if (!header.ok()) return 0;
  for (const auto& [name, tensor] : header->tensors) {
    if (tensor.begin > tensor.end || tensor.end > size) std::abort();
    if (!tensor.type.has_value()) continue;
    uint64_t bytes = c10::elementSize(*tensor.type);
    for (const int64_t extent : tensor.shape) bytes *= static_cast<uint64_t>(extent);
    if (bytes != tensor.end - tensor.begin) std::abort();
  }
  return 0;
}
