#include "common/model/weight_files.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/quote.h"
#include "common/base/status_macros.h"
#include "common/model/json_file.h"

namespace tessera {
namespace {

constexpr size_t kMaxIndexBytes = 8 << 20;
constexpr size_t kMaxProblems = 20;
constexpr size_t kMaxShards = 1000;

bool IsPlainWeightFileName(const std::string& name) {
  return absl::EndsWith(name, ".safetensors") && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos && name.front() != '.';
}

}  // namespace

absl::StatusOr<WeightFiles> FindWeightFiles(const std::string& folder, const std::string& stem,
                                            Precedence precedence) {
  const std::string single = absl::StrCat(stem, ".safetensors");
  const std::string index_path = absl::StrCat(folder, "/", single, ".index.json");
  WeightFiles files;
  files.part = std::filesystem::path(folder).filename().string();
  files.place = absl::StrCat(folder, "/", stem);
  const auto add = [&](const std::string& name) {
    files.files.push_back({name, absl::StrCat(folder, "/", name)});
  };
  std::error_code ignored;
  const bool has_index = std::filesystem::exists(index_path, ignored);
  if (std::filesystem::exists(absl::StrCat(folder, "/", single), ignored) &&
      !(has_index && precedence == Precedence::kIndex)) {
    add(single);
    return files;
  }
  if (!has_index) {
    return absl::NotFoundError(
        absl::StrCat(folder, ": expected ", single, " or ", single, ".index.json"));
  }
  TESSERA_ASSIGN_OR_RETURN(const nlohmann::json index, ReadJsonFile(index_path, kMaxIndexBytes));
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object() || map->empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(index_path, ": weight_map: expected an object of tensor and file names"));
  }
  std::set<std::string> names;
  std::vector<std::string> problems;
  for (const auto& [tensor, file] : map->items()) {
    const std::string* name = file.get_ptr<const std::string*>();
    if (name == nullptr || !IsPlainWeightFileName(*name)) {
      problems.push_back(absl::StrCat(Quote(tensor), ": expected the name of a .safetensors file ",
                                      "in the same folder", name == nullptr ? "" : ", found ",
                                      name == nullptr ? "" : Quote(*name)));
      if (problems.size() == kMaxProblems) break;
      continue;
    }
    names.insert(*name);
    files.index.emplace(tensor, *name);
  }
  if (names.size() > kMaxShards) {
    problems.push_back(absl::StrCat(names.size(), " files: expected at most ", kMaxShards));
  }
  if (!problems.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(index_path, ": weight_map: ", absl::StrJoin(problems, "; ")));
  }
  for (const std::string& name : names) add(name);
  return files;
}

}  // namespace tessera
