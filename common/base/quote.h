#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace tessera {

// A string from outside, fit for an error message or a log: quoted, control characters escaped, and
// cut when long.
inline std::string Quote(const std::string& text) {
  constexpr size_t kMaxBytes = 200;
  const bool cut = text.size() > kMaxBytes;
  return absl::StrCat("'", absl::Utf8SafeCHexEscape(cut ? text.substr(0, kMaxBytes) : text),
                      cut ? "...'" : "'");
}

}  // namespace tessera
