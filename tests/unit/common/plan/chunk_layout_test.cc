#include "common/plan/chunk_layout.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

TEST(ChunkLayoutTest, ChunksCoverTheSequenceAndTheFirstAreLonger) {
  for (const int64_t length : {0, 1, 3, 50, 35, 4096}) {
    for (int count = 1; count <= 9; ++count) {
      int64_t next = 0;
      for (int i = 0; i < count; ++i) {
        const RowRange chunk = ChunkOf(length, count, i);
        EXPECT_EQ(chunk.begin, next);
        EXPECT_EQ(chunk.size(), length / count + (i < length % count ? 1 : 0));
        next = chunk.end;
      }
      EXPECT_EQ(next, length);
    }
  }
}

TEST(ChunkLayoutTest, ReplicatedTextBelongsToEveryRank) {
  const ChunkLayout layout = {
      .text_tokens = 7, .image_tokens = 10, .ranks = 3, .text_mode = TextMode::kReplicated};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(layout.Chunk(i).text.size(), 7);
  EXPECT_EQ(layout.Chunk(2).image.begin, 7);
}

}  // namespace
}  // namespace tessera
