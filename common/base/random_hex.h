#pragma once

#include <random>
#include <string>

#include "absl/strings/str_format.h"

namespace tessera {

// 128 bits of the system's randomness as 32 hexadecimal digits.
inline std::string RandomHex() {
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(), random());
}

}  // namespace tessera
