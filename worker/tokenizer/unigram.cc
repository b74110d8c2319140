#include "worker/tokenizer/unigram.h"

#include <algorithm>
#include <limits>

#include "worker/tokenizer/unicode.h"

namespace tessera {
namespace {

constexpr double kUnknownPenalty = 10;
constexpr int kUnreached = -1;

// The best way found so far to reach a place in the word.
struct Node {
  double score = 0;
  size_t from = 0;
  int id = kUnreached;
};

}  // namespace

Unigram::Unigram(std::vector<UnigramPiece> pieces, int unknown_id)
    : unknown_id_(unknown_id), unknown_score_(0) {
  double lowest = std::numeric_limits<double>::infinity();
  scores_.reserve(pieces.size());
  for (size_t id = 0; id < pieces.size(); ++id) {
    lowest = std::min(lowest, pieces[id].score);
    trie_.Add(pieces[id].text, static_cast<int>(id));
    scores_.push_back(pieces[id].score);
  }
  unknown_score_ = lowest - kUnknownPenalty;
}

void Unigram::Encode(std::string_view word, std::vector<int64_t>& ids) const {
  std::vector<Node> nodes(word.size() + 1);
  const auto offer = [&nodes](size_t from, size_t to, int id, double score) {
    Node& node = nodes[to];
    const double sum = nodes[from].score + score;
    if (node.id == kUnreached || sum > node.score) node = {sum, from, id};
  };
  for (size_t pos = 0; pos < word.size();) {
    const size_t character_bytes = ReadUtf8(word, pos).bytes;
    bool single_found = false;
    trie_.ForEachPrefix(word, pos, [&](size_t bytes, int id) {
      offer(pos, pos + bytes, id, scores_[static_cast<size_t>(id)]);
      single_found = single_found || bytes == character_bytes;
    });
    if (!single_found) offer(pos, pos + character_bytes, unknown_id_, unknown_score_);
    pos += character_bytes;
  }

  const size_t first = ids.size();
  for (size_t end = word.size(); end > 0; end = nodes[end].from) {
    const int id = nodes[end].id;
    if (id == unknown_id_ && ids.size() > first && ids.back() == unknown_id_) continue;
    ids.push_back(id);
  }
  std::reverse(ids.begin() + static_cast<std::ptrdiff_t>(first), ids.end());
}

}  // namespace tessera
