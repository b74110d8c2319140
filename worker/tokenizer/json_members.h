#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "common/base/json_fields.h"

namespace tessera {

// Published tokenizer files stay below 3 MB.
constexpr size_t kMaxTokenizerFileBytes = 64 << 20;

// A member of what may be an object; null if it is none, has no such member, or has a JSON null
// there.
inline const nlohmann::json* FindMember(const nlohmann::json& value, const std::string& name) {
  const auto it = value.is_object() ? value.find(name) : value.end();
  return it == value.end() || it->is_null() ? nullptr : &*it;
}

// INVALID_ARGUMENT "path: field: expected ..., found ..."; null is a field that is not there.
inline absl::Status FieldError(const std::string& path, const std::string& field,
                               const std::string& expected, const nlohmann::json* found) {
  const nlohmann::json no_object;
  JsonFields fields(path, no_object);
  fields.Expected(Quote(field), expected, found);
  return fields.Finish();
}

// Whether a JSON value is an integer that can be a token id.
inline bool IsTokenId(const nlohmann::json& value) {
  constexpr int kMaxId = 1 << 30;
  return value.is_number_integer() && value >= 0 && value <= kMaxId;
}

}  // namespace tessera
