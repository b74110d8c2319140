#include "worker/tokenizer/unigram_files.h"

#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/tokenizer/json_members.h"

namespace tessera {
namespace {

using nlohmann::json;

absl::Status ReadPieces(const std::string& path, const json& vocabulary, UnigramModel& model) {
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    const json& item = vocabulary[i];
    if (!item.is_array() || item.size() != 2 || !item[0].is_string() || !item[1].is_number() ||
        !std::isfinite(item[1].get<double>())) {
      return FieldError(path, absl::StrCat("model.vocab.", i), "[piece, score]", &item);
    }
    model.pieces.push_back({item[0].get<std::string>(), item[1].get<double>()});
  }
  return absl::OkStatus();
}

// The charsmap of a normaliser of type "Precompiled"; false for another type.
absl::StatusOr<bool> ReadPrecompiled(const std::string& path, const json& normalizer,
                                     UnigramModel& model) {
  const json* type = FindMember(normalizer, "type");
  if (type == nullptr || *type != "Precompiled") return false;
  const std::string field = "normalizer.precompiled_charsmap";
  const json* table = FindMember(normalizer, "precompiled_charsmap");
  std::string bytes;
  if (table == nullptr || !table->is_string() ||
      !absl::Base64Unescape(table->get_ref<const std::string&>(), &bytes)) {
    return FieldError(path, field, "base64", table);
  }
  absl::StatusOr<Charsmap> charsmap = Charsmap::Parse(bytes);
  if (!charsmap.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", field, ": ", charsmap.status().message()));
  }
  model.charsmap = *std::move(charsmap);
  return true;
}

// The first Precompiled normaliser, alone or in a sequence.
absl::Status ReadCharsmap(const std::string& path, const json& normalizer, UnigramModel& model) {
  const json* sequence = FindMember(normalizer, "normalizers");
  if (sequence == nullptr || !sequence->is_array()) {
    return ReadPrecompiled(path, normalizer, model).status();
  }
  for (const json& item : *sequence) {
    TESSERA_ASSIGN_OR_RETURN(const bool found, ReadPrecompiled(path, item, model));
    if (found) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<UnigramModel> ReadTokenizerJson(const Checkpoint& checkpoint) {
  TESSERA_ASSIGN_OR_RETURN(const JsonFile file,
                           ReadJson(checkpoint, Part::kTokenizer2, TokenizerFile::kTokenizerJson));
  const std::string& path = file.path;
  const json* model_json = FindMember(file.object, "model");
  const json* type = model_json == nullptr ? nullptr : FindMember(*model_json, "type");
  if (model_json == nullptr || (type != nullptr && *type != "Unigram")) {
    return FieldError(path, "model", "a model of type \"Unigram\"",
                      type == nullptr ? model_json : type);
  }
  const json* vocabulary = FindMember(*model_json, "vocab");
  if (vocabulary == nullptr || !vocabulary->is_array()) {
    return FieldError(path, "model.vocab", "an array", vocabulary);
  }
  UnigramModel model;
  TESSERA_RETURN_IF_ERROR(ReadPieces(path, *vocabulary, model));
  const json* unknown = FindMember(*model_json, "unk_id");
  if (unknown == nullptr || !IsTokenId(*unknown) || *unknown >= model.pieces.size()) {
    return FieldError(path, "model.unk_id", "the index of a piece", unknown);
  }
  model.unknown_id = unknown->get<int>();
  if (const json* normalizer = FindMember(file.object, "normalizer")) {
    TESSERA_RETURN_IF_ERROR(ReadCharsmap(path, *normalizer, model));
  }
  return model;
}

}  // namespace

absl::StatusOr<UnigramModel> ReadUnigramFiles(const Checkpoint& checkpoint) {
  const absl::StatusOr<FileBytes> file = checkpoint.Read(Part::kTokenizer2, TokenizerFile::kSpiece);
  if (absl::IsNotFound(file.status())) {
    absl::StatusOr<UnigramModel> model = ReadTokenizerJson(checkpoint);
    if (absl::IsNotFound(model.status())) return file.status();
    return model;
  }
  if (!file.ok()) return file.status();
  absl::StatusOr<UnigramModel> model = ParseSpieceModel(file->bytes);
  if (!model.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file->path, ": ", model.status().message()));
  }
  return model;
}

}  // namespace tessera
