#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/tokenizer/charsmap.h"
#include "worker/tokenizer/unigram.h"

namespace tessera {

// What T5's tokenizer takes from a SentencePiece model.
struct UnigramModel {
  std::vector<UnigramPiece> pieces;  // the index is the id
  int unknown_id = 0;
  Charsmap charsmap;
};

// Reads a serialised sentencepiece ModelProto (sentencepiece_model.proto) of type unigram.
// INVALID_ARGUMENT with the field or byte offset that is wrong.
absl::StatusOr<UnigramModel> ParseSpieceModel(std::string_view bytes);

}  // namespace tessera
