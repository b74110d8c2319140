#include "worker/tokenizer/bpe.h"

#include <functional>
#include <queue>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/base/quote.h"
#include "worker/tokenizer/unicode.h"

namespace tessera {
namespace {

constexpr char kEndOfWord[] = "</w>";

// The 256 stand-ins: printable Latin-1 as itself, the other bytes from U+0100 on in ascending
// order.
std::array<std::string, 256> StandIns() {
  std::array<std::string, 256> stand_ins;
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
                           (byte >= 0xAE && byte <= 0xFF);
    AppendUtf8(printable ? byte : next++, stand_ins[byte]);
  }
  return stand_ins;
}

struct Symbol {
  int id;
  int previous;  // index, or -1
  int next;      // index, or -1
  bool merged_away;
};

// A pair that could be merged when it was queued. Ordered by rank, then by place.
struct Candidate {
  int rank;
  int left;  // index of the left symbol
  int id;    // of the merged symbol
  bool operator>(const Candidate& other) const {
    return std::tie(rank, left) > std::tie(other.rank, other.left);
  }
};

}  // namespace

absl::StatusOr<Bpe> Bpe::Create(const BpeVocabulary& vocabulary,
                                const std::vector<std::pair<std::string, std::string>>& merges,
                                int unknown_id) {
  const auto find = [&](const std::string& symbol) {
    const auto it = vocabulary.find(symbol);
    return it == vocabulary.end() ? -1 : it->second;
  };
  Bpe bpe;
  const std::array<std::string, 256> stand_ins = StandIns();
  for (size_t byte = 0; byte < stand_ins.size(); ++byte) {
    const int id = find(stand_ins[byte]);
    const int last_id = find(stand_ins[byte] + kEndOfWord);
    bpe.byte_ids_[byte] = id < 0 ? unknown_id : id;
    bpe.last_byte_ids_[byte] = last_id < 0 ? unknown_id : last_id;
  }
  bpe.merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const int left_id = find(left);
    const int right_id = find(right);
    const int id = find(left + right);
    if (left_id < 0 || right_id < 0 || id < 0) {
      return absl::InvalidArgumentError(absl::StrCat("merge ", rank + 1, ", ", Quote(left),
                                                     " with ", Quote(right), ": ",
                                                     Quote(left_id < 0    ? left
                                                           : right_id < 0 ? right
                                                                          : left + right),
                                                     " is not in the vocabulary"));
    }
    bpe.merges_[Pair(left_id, right_id)] = {static_cast<int>(rank), id};
  }
  return bpe;
}

void Bpe::Encode(std::string_view word, std::vector<int64_t>& ids) const {
  const int count = static_cast<int>(word.size());
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (int i = 0; i < count; ++i) {
    const auto byte = static_cast<unsigned char>(word[static_cast<size_t>(i)]);
    const bool last = i + 1 == count;
    symbols.push_back({(last ? last_byte_ids_ : byte_ids_)[byte], i - 1, last ? -1 : i + 1, false});
  }

  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](int left) {
    if (left < 0 || symbols[left].next < 0) return;
    const auto merge = merges_.find(Pair(symbols[left].id, symbols[symbols[left].next].id));
    if (merge != merges_.end()) queue.push({merge->second.rank, left, merge->second.id});
  };
  for (int i = 0; i + 1 < count; ++i) consider(i);

  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.left];
    if (left.merged_away || left.next < 0) continue;
    Symbol& right = symbols[left.next];
    const auto merge = merges_.find(Pair(left.id, right.id));
    // One of the two has changed since the pair was queued.
    if (merge == merges_.end() || merge->second.id != best.id) continue;
    left.id = best.id;
    left.next = right.next;
    right.merged_away = true;
    if (left.next >= 0) symbols[left.next].previous = best.left;
    consider(left.previous);
    consider(best.left);
  }
  for (const Symbol& symbol : symbols) {
    if (!symbol.merged_away) ids.push_back(symbol.id);
  }
}

}  // namespace tessera
