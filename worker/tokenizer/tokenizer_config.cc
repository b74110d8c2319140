#include "worker/tokenizer/tokenizer_config.h"

#include <charconv>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/tokenizer/json_members.h"

namespace tessera {
namespace {

using nlohmann::json;

// tokenizer_config.json says model_max_length 1e30 for "no limit".
constexpr double kNoMaxLength = 1e9;
constexpr int64_t kMaxExtraIds = 100000;

// An empty object without a path where there is no such file.
absl::StatusOr<JsonFile> ReadOptional(const Checkpoint& checkpoint, Part part, TokenizerFile file) {
  absl::StatusOr<JsonFile> read = ReadJson(checkpoint, part, file);
  if (absl::IsNotFound(read.status())) return JsonFile{"", json::object()};
  return read;
}

// A token as a plain string, or as an object with its flags.
absl::StatusOr<AddedToken> ParseToken(const std::string& path, const std::string& field,
                                      const json& value) {
  AddedToken token;
  token.id = ControlTokens::kNoId;
  const json* content = value.is_string() ? &value : FindMember(value, "content");
  if (content == nullptr || !content->is_string() ||
      content->get_ref<const std::string&>().empty()) {
    return FieldError(path, field, "a string, or an object with a string \"content\"", &value);
  }
  token.content = content->get<std::string>();
  if (value.is_string()) return token;
  JsonFields flags(absl::StrCat(path, ": ", Quote(field)), value);
  token.normalized = flags.Bool("normalized", false);
  token.lstrip = flags.Bool("lstrip", false);
  token.rstrip = flags.Bool("rstrip", false);
  if (flags.Bool("single_word", false)) flags.Problem("single_word", "only false is supported");
  TESSERA_RETURN_IF_ERROR(flags.Finish());
  return token;
}

class Reader {
 public:
  Reader(const Checkpoint& checkpoint, Part part) : checkpoint_(checkpoint), part_(part) {}

  absl::StatusOr<TokenizerConfig> Read() {
    TESSERA_ASSIGN_OR_RETURN(config_, Read(TokenizerFile::kConfig));
    map_.object = json::object();
    if (const json* decoder = FindMember(config_.object, "added_tokens_decoder")) {
      TESSERA_RETURN_IF_ERROR(AddDecoder(*decoder));
    } else {
      TESSERA_ASSIGN_OR_RETURN(map_, Read(TokenizerFile::kSpecialTokensMap));
      TESSERA_RETURN_IF_ERROR(AddTokenizerJson());
    }
    for (const char* role : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                             "cls_token", "mask_token"}) {
      TESSERA_RETURN_IF_ERROR(AddRole(role));
    }
    TESSERA_RETURN_IF_ERROR(AddList("extra_special_tokens"));
    TESSERA_RETURN_IF_ERROR(AddList("additional_special_tokens"));
    TESSERA_RETURN_IF_ERROR(ReadNumbers());
    return std::move(result_);
  }

 private:
  struct Member {
    const std::string* path;
    const json* value;  // or null
  };
  absl::StatusOr<JsonFile> Read(TokenizerFile file) const {
    return ReadOptional(checkpoint_, part_, file);
  }

  // special_tokens_map.json outranks tokenizer_config.json, field by field.
  Member Find(const std::string& name) const {
    const JsonFile& file = map_.object.contains(name) ? map_ : config_;
    return {&file.path, FindMember(file.object, name)};
  }

  absl::Status AddDecoder(const json& decoder) {
    if (!decoder.is_object()) {
      return FieldError(config_.path, "added_tokens_decoder", "an object", &decoder);
    }
    std::map<int, AddedToken> by_id;
    for (const auto& [key, value] : decoder.items()) {
      const std::string field = "added_tokens_decoder." + key;
      int id = 0;
      const char* end = key.data() + key.size();
      const auto parsed = std::from_chars(key.data(), end, id);
      if (parsed.ec != std::errc() || parsed.ptr != end || !IsTokenId(id)) {
        return FieldError(config_.path, field, "a token id as its name", &value);
      }
      TESSERA_ASSIGN_OR_RETURN(by_id[id], ParseToken(config_.path, field, value));
      by_id[id].id = id;
    }
    for (auto& [id, token] : by_id) result_.control.Add(std::move(token));
    return absl::OkStatus();
  }

  absl::Status AddTokenizerJson() {
    TESSERA_ASSIGN_OR_RETURN(const JsonFile file, Read(TokenizerFile::kTokenizerJson));
    const json* list = FindMember(file.object, "added_tokens");
    if (list == nullptr) return absl::OkStatus();
    if (!list->is_array()) return FieldError(file.path, "added_tokens", "an array", list);
    for (size_t i = 0; i < list->size(); ++i) {
      const json& item = (*list)[i];
      const std::string field = absl::StrCat("added_tokens.", i);
      TESSERA_ASSIGN_OR_RETURN(AddedToken token, ParseToken(file.path, field, item));
      const json* id = FindMember(item, "id");
      if (id == nullptr || !IsTokenId(*id)) {
        return FieldError(file.path, field + ".id", "a token id", id);
      }
      token.id = id->get<int>();
      result_.control.Add(std::move(token));
    }
    return absl::OkStatus();
  }

  absl::Status AddRole(const std::string& role) {
    const auto [path, value] = Find(role);
    if (value == nullptr) return absl::OkStatus();
    TESSERA_ASSIGN_OR_RETURN(AddedToken token, ParseToken(*path, role, *value));
    result_.control.SetRole(role, std::move(token));
    return absl::OkStatus();
  }

  absl::Status AddList(const std::string& name) {
    const auto [path, value] = Find(name);
    if (value == nullptr) return absl::OkStatus();
    if (!value->is_structured()) return FieldError(*path, name, "an array", value);
    for (const auto& [key, item] : value->items()) {
      TESSERA_ASSIGN_OR_RETURN(AddedToken token,
                               ParseToken(*path, absl::StrCat(name, ".", key), item));
      result_.control.Add(std::move(token));
    }
    return absl::OkStatus();
  }

  absl::Status ReadNumbers() {
    JsonFields fields(config_.path, config_.object);
    const double length = fields.Number("model_max_length", kNoMaxLength);
    if (!(length >= 1)) fields.Problem("model_max_length", "expected at least 1");
    if (length < kNoMaxLength) result_.model_max_length = static_cast<int64_t>(length);
    if (fields.Find("extra_ids") != nullptr) {
      result_.extra_ids = fields.Int("extra_ids", 0, kMaxExtraIds);
    }
    return fields.Finish();
  }

  const Checkpoint& checkpoint_;
  const Part part_;
  JsonFile config_, map_;
  TokenizerConfig result_;
};

}  // namespace

absl::StatusOr<TokenizerConfig> ReadTokenizerConfig(const Checkpoint& checkpoint, Part part) {
  return Reader(checkpoint, part).Read();
}

}  // namespace tessera
