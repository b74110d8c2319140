#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/checkpoint.h"
#include "worker/tokenizer/added_tokens.h"
#include "worker/tokenizer/tokenized_prompt.h"
#include "worker/tokenizer/unigram.h"

namespace tessera {

// T5's tokenizer (a SentencePiece unigram model) with the ids of transformers 5: added tokens are
// cut out first; what lies between is normalised, split at white space, and each word, with "▁" in
// front, is segmented by itself. The sentencepiece library is not used: it gives other ids for
// combining marks, for U+0085 and for near ties in long prompts, and it trusts its files.
// Immutable, so thread-safe.
class T5Tokenizer {
 public:
  // Reads tokenizer_config.json, special_tokens_map.json and spiece.model, or tokenizer.json where
  // there is no spiece.model. The sentinels <extra_id_k> follow the pieces, the highest k first,
  // unless they are pieces. NOT_FOUND, or INVALID_ARGUMENT naming file and field.
  static absl::StatusOr<T5Tokenizer> Load(const Checkpoint& checkpoint);

  // At most `length` ids: prompt, </s>, then padding. Time is linear in the prompt's length.
  // INVALID_ARGUMENT if the prompt is not UTF-8 or length < 1.
  absl::StatusOr<TokenizedPrompt> Encode(std::string_view prompt, int64_t length) const;

 private:
  T5Tokenizer(Unigram unigram, AddedTokenCutter cutter)
      : unigram_(std::move(unigram)), cutter_(std::move(cutter)) {}
  // Appends the ids of text in which all white space has been normalised.
  void EncodeText(std::string_view text, std::vector<int64_t>& ids) const;

  Unigram unigram_;
  AddedTokenCutter cutter_;
  int end_id_ = 0;
  int pad_id_ = 0;
};

}  // namespace tessera
