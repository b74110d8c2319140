#include "worker/vae/row_split.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/rank_threads.h"
#include "worker/comm/in_process_communicator.h"

namespace tessera {
namespace {

constexpr int64_t kChannels = 6, kWidth = 5;

std::vector<std::unique_ptr<Communicator>> Group(int ranks) {
  std::vector<std::unique_ptr<Communicator>> group;
  for (auto& communicator : InProcessCommunicator::MakeGroup(ranks, /*timeout_s=*/60)) {
    group.push_back(std::move(communicator));
  }
  return group;
}

at::Tensor Random(int64_t height) {
  return at::randn({1, kChannels, height, kWidth}).contiguous(at::MemoryFormat::ChannelsLast);
}

struct Case {
  int ranks;
  int64_t latent_rows;

  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.ranks << " ranks, " << c.latent_rows << " rows";
  }
};

// Activations at latent size and at twice that.
class RowSplitTest : public ::testing::TestWithParam<std::tuple<Case, int64_t>> {
 protected:
  const int ranks_ = std::get<0>(GetParam()).ranks;
  const int64_t latent_rows_ = std::get<0>(GetParam()).latent_rows;
  const int64_t scale_ = std::get<1>(GetParam());
  const at::Tensor x_ = Random(scale_ * latent_rows_);

  RowRange RowsOf(const RowSplit& split) const {
    const RowRange mine = split.Mine(latent_rows_);
    return {scale_ * mine.begin, scale_ * mine.end};
  }
  at::Tensor Mine(const RowSplit& split) const {
    const RowRange rows = RowsOf(split);
    return x_.narrow(2, rows.begin, rows.size());
  }
};

TEST_P(RowSplitTest, NeighboursRowsAdjoinThisRanks) {
  RunRanks(Group(ranks_), [&](Communicator& communicator) {
    const RowSplit split(communicator, latent_rows_);
    const RowRange rows = RowsOf(split);
    const RowBands bands = Mine(split).split(1, 2);
    const Halo halo = split.ExchangeEdges(bands);
    EXPECT_EQ(halo.above.defined(), rows.begin > 0);
    EXPECT_EQ(halo.below.defined(), rows.end < x_.size(2));
    if (halo.above.defined()) {
      EXPECT_TRUE(at::equal(halo.above, x_.narrow(2, rows.begin - 1, 1)));
    }
    if (halo.below.defined()) {
      EXPECT_TRUE(at::equal(halo.below, x_.narrow(2, rows.end, 1)));
    }
    return true;
  });
}

TEST_P(RowSplitTest, SumsAreThoseOfTheWholeWithTheSameBitsOnAllRanks) {
  const ChannelSums whole = SumChannels({x_});
  const auto sums = RunRanks(Group(ranks_), [&](Communicator& communicator) {
    const RowSplit split(communicator, latent_rows_);
    ChannelSums mine = SumChannels({Mine(split)});
    split.ExchangeEdges({Mine(split)}, mine);
    return mine;
  });
  for (const ChannelSums& each : sums) {
    EXPECT_TRUE(at::allclose(each.sums, whole.sums, 1e-12, 1e-12));
    EXPECT_TRUE(at::equal(each.sums, sums[0].sums));
    EXPECT_EQ(each.pixels, whole.pixels);
  }
}

TEST_P(RowSplitTest, GathersRowsOfAnyTypeOnAllRanks) {
  for (const at::ScalarType type : {at::kFloat, at::kByte}) {
    const at::Tensor whole = (x_ * 50).to(type).permute({0, 2, 3, 1}).contiguous();
    const auto gathered = RunRanks(Group(ranks_), [&](Communicator& communicator) {
      const RowSplit split(communicator, latent_rows_);
      const RowRange rows = RowsOf(split);
      return split.Gather(whole.narrow(1, rows.begin, rows.size()));
    });
    for (const at::Tensor& each : gathered) EXPECT_TRUE(at::equal(each, whole));
  }
}

// The last two have ranks without rows.
INSTANTIATE_TEST_SUITE_P(Sizes, RowSplitTest,
                         ::testing::Combine(::testing::Values(Case{2, 6}, Case{3, 7}, Case{5, 5},
                                                              Case{3, 2}, Case{5, 1}),
                                            ::testing::Values(1, 2)));

TEST(RowSplitTest, EveryRowHasOneOwner) {
  const auto mine = RunRanks(Group(3), [](Communicator& communicator) {
    return RowSplit(communicator, /*latent_rows=*/7).Mine(7);
  });
  EXPECT_EQ(mine[0].begin, 0);
  EXPECT_EQ(mine[1].begin, mine[0].end);
  EXPECT_EQ(mine[2].begin, mine[1].end);
  EXPECT_EQ(mine[2].end, 7);
}

TEST(RowSplitTest, WithoutAGroupAllRowsAreHere) {
  const RowSplit split;
  const at::Tensor x = Random(4);
  EXPECT_EQ(split.Mine(4).size(), 4);
  ChannelSums sums = SumChannels({x});
  const at::Tensor before = sums.sums.clone();
  const Halo halo = split.ExchangeEdges({x}, sums);
  EXPECT_FALSE(halo.above.defined() || halo.below.defined());
  EXPECT_TRUE(at::equal(sums.sums, before));
  EXPECT_EQ(sums.pixels, 4 * kWidth);
  EXPECT_TRUE(split.Gather(x).is_same(x));
}

}  // namespace
}  // namespace tessera
