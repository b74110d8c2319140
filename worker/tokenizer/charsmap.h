#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tessera {

// SentencePiece's precompiled normalisation table: a double-array trie (of the Darts-clone layout)
// from prefixes to replacements. Immutable, so thread-safe.
class Charsmap {
 public:
  Charsmap() = default;  // changes nothing
  // u32 LE size of the trie in bytes; the trie's u32 LE units; NUL-terminated replacements. Empty:
  // changes nothing.
  static absl::StatusOr<Charsmap> Parse(std::string_view table);

  // As Hugging Face tokenizers' Precompiled does it, which differs from the sentencepiece library
  // on combining marks: a grapheme cluster of less than 6 bytes is replaced whole by what its
  // shortest prefix in the table stands for; in other clusters each character is looked up by
  // itself.
  std::string Normalize(std::string_view text) const;

 private:
  // Appends the replacement of the shortest prefix of `part` in the table; false if there is none.
  bool Replace(std::string_view part, std::string& out) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace tessera
