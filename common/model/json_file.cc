#include "common/model/json_file.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"

namespace tessera {

absl::StatusOr<nlohmann::json> ReadJsonFile(const std::string& path, size_t max_bytes) {
  TESSERA_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, max_bytes));
  return ParseJsonFile(path, text);
}

absl::StatusOr<nlohmann::json> ParseJsonFile(const std::string& path, const std::string& text) {
  try {
    nlohmann::json value = nlohmann::json::parse(text);
    if (value.is_object()) return value;
  } catch (const nlohmann::json::parse_error& error) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": invalid JSON at byte ", error.byte));
  }
  return absl::InvalidArgumentError(absl::StrCat(path, ": expected a JSON object"));
}

}  // namespace tessera
