#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "common/model/checkpoint.h"
#include "worker/tokenizer/control_tokens.h"

namespace tessera {

// What the files of a tokenizer say beside its vocabulary.
struct TokenizerConfig {
  ControlTokens control;
  std::optional<int64_t> extra_ids;         // T5's number of sentinels
  std::optional<int64_t> model_max_length;  // tokens
};

// Reads it as transformers 5 does: the tokens of tokenizer_config.json's added_tokens_decoder, or
// else of special_tokens_map.json and tokenizer.json, and those that *_token, extra_special_tokens
// and additional_special_tokens name. Every file may be missing. INVALID_ARGUMENT naming file and
// field for one that is malformed.
absl::StatusOr<TokenizerConfig> ReadTokenizerConfig(const Checkpoint& checkpoint, Part part);

}  // namespace tessera
