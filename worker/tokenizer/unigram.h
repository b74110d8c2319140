#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/tokenizer/byte_trie.h"

namespace tessera {

struct UnigramPiece {
  std::string text;
  double score = 0;
};

// SentencePiece's unigram model: the segmentation of a word with the largest sum of scores. Scores
// are summed in double and word by word, as Hugging Face tokenizers does; the sentencepiece library
// sums the whole prompt in float, which decides near ties of long prompts otherwise. Immutable, so
// thread-safe.
class Unigram {
 public:
  Unigram(std::vector<UnigramPiece> pieces, int unknown_id);

  // Appends the ids of one word in UTF-8. A character that is no piece scores 10 below the worst
  // piece; a row of them becomes one unknown id. Of equal sums the first found stays. Time is
  // linear in the word's length.
  void Encode(std::string_view word, std::vector<int64_t>& ids) const;

 private:
  std::vector<double> scores_;  // by id
  ByteTrie trie_;
  int unknown_id_;
  double unknown_score_;
};

}  // namespace tessera
