#pragma once

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/quote.h"

namespace tessera {

// Reads the fields of one JSON object and collects everything that is wrong with them, so that the
// user sees all of it at once. A getter returns a harmless value for a wrong field; nothing may be
// used before Finish() is OK. A field that is absent or null takes `fallback`; without one it is
// required. The object comes from outside and must outlive this.
class JsonFields {
 public:
  JsonFields(std::string path, const nlohmann::json& object)
      : path_(std::move(path)), object_(object) {}

  int64_t Int(const std::string& name, int64_t min, int64_t max,
              std::optional<int64_t> fallback = std::nullopt) {
    const nlohmann::json* value = Find(name);
    if (value == nullptr && fallback.has_value()) return *fallback;
    if (IsIntIn(value, min, max)) return value->get<int64_t>();
    Expected(name, absl::StrCat("an integer from ", min, " to ", max), value);
    return min;
  }

  // At least one integer.
  std::vector<int64_t> Ints(const std::string& name, int64_t min, int64_t max) {
    const nlohmann::json* value = Find(name);
    bool valid = value != nullptr && value->is_array() && !value->empty();
    std::vector<int64_t> numbers;
    for (size_t i = 0; valid && i < value->size(); ++i) {
      valid = IsIntIn(&(*value)[i], min, max);
      if (valid) numbers.push_back((*value)[i].get<int64_t>());
    }
    if (valid) return numbers;
    Expected(name, absl::StrCat("a list of integers from ", min, " to ", max), value);
    return {min};
  }

  double Number(const std::string& name, std::optional<double> fallback = std::nullopt) {
    const nlohmann::json* value = Find(name);
    if (value == nullptr && fallback.has_value()) return *fallback;
    if (value != nullptr && value->is_number() && std::isfinite(value->get<double>())) {
      return value->get<double>();
    }
    Expected(name, "a finite number", value);
    return 1.0;
  }

  bool Bool(const std::string& name, bool fallback) {
    const nlohmann::json* value = Find(name);
    if (value != nullptr && !value->is_boolean()) Expected(name, "true or false", value);
    return value != nullptr && value->is_boolean() ? value->get<bool>() : fallback;
  }

  // One of `choices`.
  std::string Choice(const std::string& name, const std::vector<std::string>& choices,
                     std::optional<std::string> fallback = std::nullopt) {
    const nlohmann::json* value = Find(name);
    if (value == nullptr && fallback.has_value()) return *fallback;
    for (const std::string& choice : choices) {
      if (value != nullptr && value->is_string() && *value == choice) return choice;
    }
    Expected(name, absl::StrJoin(choices, " or "), value);
    return choices.front();
  }

  // Null for an absent field and for a JSON null.
  const nlohmann::json* Find(const std::string& name) const {
    const auto it = object_.find(name);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }

  void Problem(const std::string& name, const std::string& text) {
    problems_.push_back(absl::StrCat(name, ": ", text));
  }

  void Expected(const std::string& name, const std::string& what, const nlohmann::json* found) {
    Problem(name, absl::StrCat("expected ", what, ", found ", Describe(found)));
  }

  // INVALID_ARGUMENT naming the file and every problem.
  absl::Status Finish() const {
    if (problems_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", absl::StrJoin(problems_, "; ")));
  }

 private:
  static bool IsIntIn(const nlohmann::json* value, int64_t min, int64_t max) {
    return value != nullptr && value->is_number_integer() && *value >= min && *value <= max;
  }

  static std::string Describe(const nlohmann::json* value) {
    if (value == nullptr) return "nothing";
    if (value->is_string()) return Quote(value->get<std::string>());
    // Containers may be nested deeply.
    return value->is_structured() ? value->type_name() : value->dump();
  }

  std::string path_;
  const nlohmann::json& object_;
  std::vector<std::string> problems_;
};

}  // namespace tessera
