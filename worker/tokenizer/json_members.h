#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/json_fields.h"
#include "common/base/status_macros.h"
#include "common/model/checkpoint.h"
#include "common/model/json_file.h"

namespace tessera {

// A file of a tokenizer that holds a JSON object. Errors as Checkpoint::Read's and ParseJsonFile's.
inline absl::StatusOr<JsonFile> ReadJson(const Checkpoint& checkpoint, Part part,
                                         TokenizerFile file) {
  TESSERA_ASSIGN_OR_RETURN(FileBytes read, checkpoint.Read(part, file));
  TESSERA_ASSIGN_OR_RETURN(nlohmann::json object, ParseJsonFile(read.path, read.bytes));
  return JsonFile{std::move(read.path), std::move(object)};
}

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
