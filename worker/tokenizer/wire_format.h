#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "absl/status/status.h"

namespace tessera {

enum class WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// One field of a protobuf message in wire format.
struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t value = 0;      // all types but kBytes
  std::string_view bytes;  // kBytes
  size_t end = 0;          // the offset behind it in the file
};

// Calls on_field for every field of a message from outside, in their order, up to the first error.
// `offset` is where the message begins in its file. INVALID_ARGUMENT naming the offset of what is
// malformed; groups are.
absl::Status ForEachField(std::string_view message, size_t offset,
                          const std::function<absl::Status(const WireField&)>& on_field);

}  // namespace tessera
