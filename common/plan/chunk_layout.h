#pragma once

#include <cstdint>

#include "common/plan/token_rows.h"

namespace tessera {

// How the ranks share the text tokens.
enum class TextMode {
  kSplit,       // cut into chunks like image tokens
  kReplicated,  // every rank computes every text token: text K and V are always fresh
};

// Chunk `index` of `length` rows cut into `count` contiguous chunks whose lengths differ by at most
// one; the first (length mod count) are the longer ones. A chunk is empty when length < count.
RowRange ChunkOf(int64_t length, int count, int index);

// How a run's tokens are cut over the ranks of a group.
struct ChunkLayout {
  int64_t text_tokens = 0;
  int64_t image_tokens = 0;
  int ranks = 1;
  TextMode text_mode = TextMode::kSplit;

  bool operator==(const ChunkLayout&) const = default;

  int64_t tokens() const { return text_tokens + image_tokens; }

  // What the rank that works on chunk `index` computes.
  TokenRows Chunk(int index) const;
};

}  // namespace tessera
