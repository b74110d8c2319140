#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace tessera {

using BpeVocabulary = std::unordered_map<std::string, int>;

// Byte-level byte-pair encoding of words, as GPT-2 and CLIP have it: the bytes of a word, written
// as stand-in characters, the last with "</w>", are merged pair by pair, lowest rank first.
// Immutable, so thread-safe.
class Bpe {
 public:
  // merges[rank] = {left, right}. A byte that the vocabulary lacks becomes unknown_id.
  // INVALID_ARGUMENT naming the merge that speaks of symbols outside the vocabulary.
  static absl::StatusOr<Bpe> Create(const BpeVocabulary& vocabulary,
                                    const std::vector<std::pair<std::string, std::string>>& merges,
                                    int unknown_id);

  // Appends the ids of one word. O(n log n) in its length.
  void Encode(std::string_view word, std::vector<int64_t>& ids) const;

 private:
  struct Merge {
    int rank;
    int id;
  };
  static uint64_t Pair(int left, int right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }

  std::array<int, 256> byte_ids_{};
  std::array<int, 256> last_byte_ids_{};  // with "</w>"
  std::unordered_map<uint64_t, Merge> merges_;
};

}  // namespace tessera
