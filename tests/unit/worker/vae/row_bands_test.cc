#include "worker/vae/row_bands.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

constexpr int64_t kChannels = 6, kHeight = 7, kWidth = 5;
constexpr int64_t kRowBytes = kChannels * kWidth * 4;

at::Tensor Numbers() {
  return at::arange(kChannels * kHeight * kWidth, at::kFloat)
      .view({1, kChannels, kHeight, kWidth})
      .contiguous(at::MemoryFormat::ChannelsLast);
}

TEST(SplitRowsTest, KeepsToTheLimitAndTheOrder) {
  const at::Tensor x = Numbers();
  const RowBands bands = SplitRows({x}, 3 * kRowBytes + 1);
  ASSERT_EQ(bands.size(), 3U);
  EXPECT_EQ(bands[0].size(2), 3);
  EXPECT_EQ(bands[2].size(2), 1);
  EXPECT_TRUE(at::equal(at::cat(bands, 2), x));
}

TEST(SplitRowsTest, LeavesSmallBandsWholeAndNeverCutsARow) {
  EXPECT_EQ(SplitRows({Numbers()}, kHeight * kRowBytes).size(), 1U);
  EXPECT_EQ(SplitRows({Numbers()}, 1).size(), static_cast<size_t>(kHeight));
}

TEST(SplitRowsTest, CutsWhatIsAlreadyCut) {
  const RowBands bands = SplitRows(SplitRows({Numbers()}, 4 * kRowBytes), 2 * kRowBytes);
  EXPECT_EQ(bands.size(), 4U);  // 2 + 2 rows, 2 + 1 rows
  EXPECT_TRUE(at::equal(at::cat(bands, 2), Numbers()));
}

TEST(HaloTest, BandsCarryTheirNeighboursEvenWhenOverwritten) {
  const at::Tensor x = Numbers();
  for (const int64_t rows : {1, 2, 3, 7}) {
    RowBands bands = SplitRows({x.clone()}, rows * kRowBytes);
    int64_t first = 0;
    ForEachBandWithHalo(bands, Halo{}, [&](size_t i, const BandWithHalo& parts) {
      const at::Tensor with_halo = at::cat(parts, 2);
      const int64_t count = bands[i].size(2);
      EXPECT_TRUE(at::equal(with_halo.narrow(2, 1, count), x.narrow(2, first, count)));
      const int64_t above = std::max<int64_t>(first - 1, 0);
      const int64_t below = std::min(first + count, kHeight - 1);
      EXPECT_TRUE(at::equal(with_halo.narrow(2, 0, 1), x.narrow(2, above, 1)));
      EXPECT_TRUE(at::equal(with_halo.narrow(2, -1, 1), x.narrow(2, below, 1)));
      first += count;
      bands[i].zero_();
      if (i % 2 == 1) bands[i].reset();
    });
    EXPECT_EQ(first, kHeight);
  }
}

TEST(HaloTest, OnlyRowsOutsideThePictureAreCleared) {
  const RowBands bands = SplitRows({at::ones({1, kChannels, 6, kWidth})}, 2 * kRowBytes);
  ASSERT_EQ(bands.size(), 3U);
  for (size_t i = 0; i < bands.size(); ++i) {
    at::Tensor rows = at::ones({1, 1, 4, 1});
    ClearOutside(bands, Halo{}, i, rows);
    const at::Tensor expected = at::ones({4});
    if (i == 0) expected[0] = 0;
    if (i == 2) expected[3] = 0;
    EXPECT_TRUE(at::equal(rows.flatten(), expected));
  }
}

}  // namespace
}  // namespace tessera
