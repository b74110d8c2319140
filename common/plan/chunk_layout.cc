#include "common/plan/chunk_layout.h"

#include <algorithm>

namespace tessera {

RowRange ChunkOf(int64_t length, int count, int index) {
  const int64_t base = length / count, longer = length % count;
  const int64_t begin = index * base + std::min<int64_t>(index, longer);
  return {begin, begin + base + (index < longer ? 1 : 0)};
}

TokenRows ChunkLayout::Chunk(int index) const {
  const RowRange all_text = {0, text_tokens};
  return {text_mode == TextMode::kSplit ? ChunkOf(text_tokens, ranks, index) : all_text,
          ChunkOf(image_tokens, ranks, index)};
}

}  // namespace tessera
