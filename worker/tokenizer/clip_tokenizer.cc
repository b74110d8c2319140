#include "worker/tokenizer/clip_tokenizer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/tokenizer/bpe_files.h"
#include "worker/tokenizer/tokenizer_config.h"
#include "worker/tokenizer/unicode.h"

namespace tessera {
namespace {

enum class CharClass { kLetter, kNumber, kSpace, kOther };

CharClass Classify(char32_t code) {
  if (IsLetter(code)) return CharClass::kLetter;
  if (IsNumber(code)) return CharClass::kNumber;
  if (IsWhiteSpace(code)) return CharClass::kSpace;
  return CharClass::kOther;
}

// The end of the longest stretch of one class from `pos` on.
size_t ClassEnd(std::string_view text, size_t pos, CharClass char_class) {
  while (pos < text.size()) {
    const Utf8Char character = ReadUtf8(text, pos);
    if (Classify(character.code) != char_class) break;
    pos += character.bytes;
  }
  return pos;
}

// The length of the literal alternative of CLIP's pattern that text[pos..] starts with, or 0.
size_t ContractionLength(std::string_view text, size_t pos) {
  for (const std::string_view contraction : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.substr(pos).starts_with(contraction)) return contraction.size();
  }
  return 0;
}

// Control tokens that were not cut out (those that count only as written, but in other case): the
// pattern of CLIP matches them whole, and the one of GPT-2 that runs behind it cuts them at the
// bars.
size_t ControlTokenLength(std::string_view text, size_t pos) {
  for (const std::string_view token : {"<|startoftext|>", "<|endoftext|>"}) {
    if (text.substr(pos).starts_with(token)) return token.size();
  }
  return 0;
}

// Calls on_word for the matches of
//   <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
// in normalised text.
template <typename OnWord>
void ForEachWord(std::string_view text, OnWord on_word) {
  for (size_t pos = 0; pos < text.size();) {
    if (const size_t length = ControlTokenLength(text, pos); length > 0) {
      on_word(text.substr(pos, 2));
      on_word(text.substr(pos + 2, length - 4));
      on_word(text.substr(pos + length - 2, 2));
      pos += length;
      continue;
    }
    const Utf8Char first = ReadUtf8(text, pos);
    const CharClass char_class = Classify(first.code);
    size_t end = pos + first.bytes;
    if (const size_t length = ContractionLength(text, pos); length > 0) {
      end = pos + length;
    } else if (char_class == CharClass::kLetter || char_class == CharClass::kOther) {
      end = ClassEnd(text, end, char_class);
    }
    if (char_class != CharClass::kSpace) on_word(text.substr(pos, end - pos));
    pos = end;
  }
}

}  // namespace

absl::StatusOr<ClipTokenizer> ClipTokenizer::Load(const Checkpoint& checkpoint) {
  TESSERA_ASSIGN_OR_RETURN(TokenizerConfig config,
                           ReadTokenizerConfig(checkpoint, Part::kTokenizer));
  ControlTokens& control = config.control;
  control.SetDefault("bos_token", "<|startoftext|>");
  control.SetDefault("eos_token", "<|endoftext|>");
  control.SetDefault("pad_token", "<|endoftext|>");
  control.SetDefault("unk_token", "<|endoftext|>");
  TESSERA_ASSIGN_OR_RETURN(const BpeFiles files, ReadBpeFiles(checkpoint));
  const auto lookup = [&files](const std::string& token) -> std::optional<int> {
    const auto it = files.vocabulary.find(token);
    if (it == files.vocabulary.end()) return std::nullopt;
    return it->second;
  };
  control.AssignIds(lookup, static_cast<int>(files.vocabulary.size()));
  absl::StatusOr<Bpe> bpe = Bpe::Create(files.vocabulary, files.merges, control.IdOf("unk_token"));
  if (!bpe.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.merges_path, ": ", bpe.status().message()));
  }

  ClipTokenizer tokenizer(*std::move(bpe), AddedTokenCutter(control.tokens(), ComposeAndLower));
  tokenizer.start_id_ = control.IdOf("bos_token");
  tokenizer.end_id_ = control.IdOf("eos_token");
  tokenizer.pad_id_ = control.IdOf("pad_token");
  tokenizer.max_length_ = config.model_max_length.value_or(0);
  return tokenizer;
}

absl::StatusOr<TokenizedPrompt> ClipTokenizer::Encode(std::string_view prompt,
                                                      int64_t length) const {
  if (length < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("CLIP tokens: expected a length of at least 2, found ", length));
  }
  TESSERA_RETURN_IF_ERROR(CheckUtf8(prompt));
  TokenizedPrompt result;
  result.ids.push_back(start_id_);
  cutter_.Cut(
      prompt, [&](int id) { result.ids.push_back(id); },
      [&](std::string_view text) {
        ForEachWord(text, [&](std::string_view word) { bpe_.Encode(word, result.ids); });
      });
  result.tokens = static_cast<int>(result.ids.size()) + 1;
  const auto size = static_cast<size_t>(length);
  result.ids.resize(std::min(result.ids.size(), size - 1));
  result.ids.push_back(end_id_);
  result.ids.resize(size, pad_id_);
  return result;
}

}  // namespace tessera
