#include "worker/tokenizer/bpe_files.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/quote.h"
#include "common/base/status_macros.h"
#include "worker/tokenizer/json_members.h"

namespace tessera {
namespace {

using nlohmann::json;
using Merge = std::pair<std::string, std::string>;

absl::StatusOr<BpeVocabulary> ParseVocabulary(const std::string& path, const json& object) {
  BpeVocabulary vocabulary;
  vocabulary.reserve(object.size());
  for (const auto& [symbol, id] : object.items()) {
    if (!IsTokenId(id)) return FieldError(path, symbol, "a token id", &id);
    vocabulary.emplace(symbol, id.get<int>());
  }
  return vocabulary;
}

// "left right", exactly one space.
absl::StatusOr<Merge> ParseMerge(const std::string& where, const std::string& text) {
  const size_t space = text.find(' ');
  if (space == std::string::npos || space == 0 || space + 1 == text.size() ||
      text.find(' ', space + 1) != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": expected two symbols with one space between, found ", Quote(text)));
  }
  return Merge(text.substr(0, space), text.substr(space + 1));
}

absl::StatusOr<std::vector<Merge>> ParseMergesFile(const std::string& path,
                                                   const std::string& text) {
  std::vector<Merge> merges;
  int line_number = 0;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = std::min(text.find('\n', pos), text.size());
    std::string line = text.substr(pos, end - pos);
    pos = end + 1;
    ++line_number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.starts_with("#version")) continue;
    TESSERA_ASSIGN_OR_RETURN(Merge merge, ParseMerge(absl::StrCat(path, ":", line_number), line));
    merges.push_back(std::move(merge));
  }
  return merges;
}

// tokenizer.json writes a merge as "left right" or as ["left", "right"].
absl::StatusOr<std::vector<Merge>> ParseMerges(const std::string& path, const json& list) {
  std::vector<Merge> merges;
  for (size_t rank = 0; rank < list.size(); ++rank) {
    const std::string field = absl::StrCat("model.merges.", rank);
    const json& item = list[rank];
    if (item.is_string()) {
      TESSERA_ASSIGN_OR_RETURN(
          Merge merge, ParseMerge(absl::StrCat(path, ": ", field), item.get<std::string>()));
      merges.push_back(std::move(merge));
    } else if (item.is_array() && item.size() == 2 && item[0].is_string() && item[1].is_string()) {
      merges.emplace_back(item[0].get<std::string>(), item[1].get<std::string>());
    } else {
      return FieldError(path, field, "two symbols", &item);
    }
  }
  return merges;
}

absl::StatusOr<BpeFiles> ReadTokenizerJson(const Checkpoint& checkpoint) {
  TESSERA_ASSIGN_OR_RETURN(const JsonFile file,
                           ReadJson(checkpoint, Part::kTokenizer, TokenizerFile::kTokenizerJson));
  const std::string& path = file.path;
  const json* model = FindMember(file.object, "model");
  const json* type = model == nullptr ? nullptr : FindMember(*model, "type");
  if (model == nullptr || (type != nullptr && *type != "BPE")) {
    return FieldError(path, "model", "a model of type \"BPE\"", type == nullptr ? model : type);
  }
  const json* vocabulary = FindMember(*model, "vocab");
  const json* merges = FindMember(*model, "merges");
  if (vocabulary == nullptr || !vocabulary->is_object()) {
    return FieldError(path, "model.vocab", "an object", vocabulary);
  }
  if (merges == nullptr || !merges->is_array()) {
    return FieldError(path, "model.merges", "an array", merges);
  }
  BpeFiles files;
  files.merges_path = path;
  TESSERA_ASSIGN_OR_RETURN(files.vocabulary, ParseVocabulary(path, *vocabulary));
  TESSERA_ASSIGN_OR_RETURN(files.merges, ParseMerges(path, *merges));
  return files;
}

}  // namespace

absl::StatusOr<BpeFiles> ReadBpeFiles(const Checkpoint& checkpoint) {
  const absl::StatusOr<JsonFile> vocabulary =
      ReadJson(checkpoint, Part::kTokenizer, TokenizerFile::kVocabulary);
  if (absl::IsNotFound(vocabulary.status())) {
    absl::StatusOr<BpeFiles> files = ReadTokenizerJson(checkpoint);
    if (absl::IsNotFound(files.status())) return vocabulary.status();
    return files;
  }
  if (!vocabulary.ok()) return vocabulary.status();
  BpeFiles files;
  TESSERA_ASSIGN_OR_RETURN(files.vocabulary, ParseVocabulary(vocabulary->path, vocabulary->object));
  TESSERA_ASSIGN_OR_RETURN(FileBytes merges,
                           checkpoint.Read(Part::kTokenizer, TokenizerFile::kMerges));
  files.merges_path = std::move(merges.path);
  TESSERA_ASSIGN_OR_RETURN(files.merges, ParseMergesFile(files.merges_path, merges.bytes));
  return files;
}

}  // namespace tessera
