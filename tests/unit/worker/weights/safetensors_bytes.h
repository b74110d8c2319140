#pragma once

#include <cstdint>
#include <string>

namespace tessera::testing {

// A safetensors file of this header and data, whatever they say.
inline std::string SafetensorsBytes(const std::string& json, const std::string& data = "") {
  const uint64_t size = json.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + json + data;
}

}  // namespace tessera::testing
