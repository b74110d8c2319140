#include "worker/bench/flop_count.h"

#include <gtest/gtest.h>

#include "common/plan/chunk_layout.h"
#include "worker/bench/bench_options.h"

namespace tessera {
namespace {

TEST(FlopCountTest, FluxDevAt1024x1024) {
  const ChunkLayout layout = {.text_tokens = 512, .image_tokens = 4096};
  const FlopCount count = CountFlops(FluxDevSizes(), layout.Chunk(0), 4608);
  EXPECT_NEAR(count.linear / 1e12, 59.5, 0.05);
  EXPECT_NEAR(count.attention / 1e12, 14.9, 0.05);
}

TEST(FlopCountTest, ChunksAddUpToTheWhole) {
  ChunkLayout layout = {.text_tokens = 50, .image_tokens = 35};
  const double whole = CountFlops(FluxDevSizes(), layout.Chunk(0), 85).total();
  layout.ranks = 3;
  double sum = 0;
  for (int chunk = 0; chunk < 3; ++chunk) {
    sum += CountFlops(FluxDevSizes(), layout.Chunk(chunk), 85).total();
  }
  EXPECT_DOUBLE_EQ(sum, whole);
}

}  // namespace
}  // namespace tessera
