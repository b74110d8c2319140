#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/model/checkpoint.h"
#include "worker/tokenizer/added_tokens.h"
#include "worker/tokenizer/bpe.h"
#include "worker/tokenizer/tokenized_prompt.h"

namespace tessera {

// CLIP's tokenizer with the ids of transformers 5. Immutable, so thread-safe.
class ClipTokenizer {
 public:
  // Reads tokenizer_config.json, special_tokens_map.json and vocab.json with merges.txt, or
  // tokenizer.json where there is no vocab.json. NOT_FOUND, or INVALID_ARGUMENT naming file and
  // field.
  static absl::StatusOr<ClipTokenizer> Load(const Checkpoint& checkpoint);

  // At most `length` ids: start token, prompt, end token, then padding. Time is linear in the
  // prompt's length but for a logarithm. INVALID_ARGUMENT if the prompt is not UTF-8 or length < 2.
  absl::StatusOr<TokenizedPrompt> Encode(std::string_view prompt, int64_t length) const;

  // tokenizer_config.json's model_max_length, 77 in published files; 0 where it sets no limit.
  int64_t max_length() const { return max_length_; }

 private:
  ClipTokenizer(Bpe bpe, AddedTokenCutter cutter)
      : bpe_(std::move(bpe)), cutter_(std::move(cutter)) {}

  Bpe bpe_;
  AddedTokenCutter cutter_;
  int start_id_ = 0;
  int end_id_ = 0;
  int pad_id_ = 0;
  int64_t max_length_ = 0;
};

}  // namespace tessera
