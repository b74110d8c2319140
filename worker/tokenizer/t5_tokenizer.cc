#include "worker/tokenizer/t5_tokenizer.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/tokenizer/charsmap.h"
#include "worker/tokenizer/tokenizer_config.h"
#include "worker/tokenizer/unicode.h"
#include "worker/tokenizer/unigram_files.h"

namespace tessera {
namespace {

constexpr std::string_view kWordStart = "\xE2\x96\x81";  // U+2581
constexpr int64_t kDefaultSentinels = 100;
constexpr std::string_view kSentinelPrefix = "<extra_id_";

using PieceIds = std::unordered_map<std::string, int>;

// extra_ids, else as many as the files list, else 100.
int64_t SentinelCount(const TokenizerConfig& config) {
  if (config.extra_ids) return *config.extra_ids;
  const std::vector<AddedToken>& tokens = config.control.tokens();
  const auto listed = std::count_if(tokens.begin(), tokens.end(), [](const AddedToken& token) {
    return token.content.starts_with(kSentinelPrefix);
  });
  return listed > 0 ? listed : kDefaultSentinels;
}

void AddSentinels(int64_t count, ControlTokens& control, std::vector<UnigramPiece>& pieces,
                  PieceIds& ids) {
  for (int64_t k = count - 1; k >= 0; --k) {
    const std::string sentinel = absl::StrCat(std::string(kSentinelPrefix), k, ">");
    if (!control.Has(sentinel)) control.Add({sentinel, ControlTokens::kNoId});
    if (ids.emplace(sentinel, static_cast<int>(pieces.size())).second) {
      pieces.push_back({sentinel, 0.0});
    }
  }
}

}  // namespace

absl::StatusOr<T5Tokenizer> T5Tokenizer::Load(const Checkpoint& checkpoint) {
  TESSERA_ASSIGN_OR_RETURN(TokenizerConfig config,
                           ReadTokenizerConfig(checkpoint, Part::kTokenizer2));
  ControlTokens& control = config.control;
  control.SetDefault("eos_token", "</s>");
  control.SetDefault("pad_token", "<pad>");
  control.SetDefault("unk_token", "<unk>");
  TESSERA_ASSIGN_OR_RETURN(UnigramModel model, ReadUnigramFiles(checkpoint));
  PieceIds ids;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    ids[model.pieces[id].text] = static_cast<int>(id);
  }
  AddSentinels(SentinelCount(config), control, model.pieces, ids);
  const auto lookup = [&ids](const std::string& token) -> std::optional<int> {
    const auto it = ids.find(token);
    if (it == ids.end()) return std::nullopt;
    return it->second;
  };
  control.AssignIds(lookup, static_cast<int>(model.pieces.size()));

  const auto normalize = [charsmap = std::move(model.charsmap)](std::string_view text) {
    return charsmap.Normalize(text);
  };
  T5Tokenizer tokenizer(Unigram(std::move(model.pieces), model.unknown_id),
                        AddedTokenCutter(control.tokens(), normalize));
  tokenizer.end_id_ = control.IdOf("eos_token");
  tokenizer.pad_id_ = control.IdOf("pad_token");
  return tokenizer;
}

void T5Tokenizer::EncodeText(std::string_view text, std::vector<int64_t>& ids) const {
  std::string word;
  const auto finish_word = [&] {
    if (!word.empty()) unigram_.Encode(word, ids);
    word.clear();
  };
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char character = ReadUtf8(text, pos);
    const std::string_view bytes = text.substr(pos, character.bytes);
    pos += character.bytes;
    if (IsWhiteSpace(character.code)) {
      finish_word();
      continue;
    }
    if (bytes == kWordStart) {
      finish_word();
    } else if (word.empty()) {
      word = kWordStart;
    }
    word += bytes;
  }
  finish_word();
}

absl::StatusOr<TokenizedPrompt> T5Tokenizer::Encode(std::string_view prompt, int64_t length) const {
  if (length < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("T5 tokens: expected a length of at least 1, found ", length));
  }
  TESSERA_RETURN_IF_ERROR(CheckUtf8(prompt));
  TokenizedPrompt result;
  cutter_.Cut(
      prompt, [&](int id) { result.ids.push_back(id); },
      [&](std::string_view text) { EncodeText(text, result.ids); });
  result.tokens = static_cast<int>(result.ids.size()) + 1;
  const auto size = static_cast<size_t>(length);
  result.ids.resize(std::min(result.ids.size(), size - 1));
  result.ids.push_back(end_id_);
  result.ids.resize(size, pad_id_);
  return result;
}

}  // namespace tessera
