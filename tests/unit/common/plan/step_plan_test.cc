#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "common/plan/parallel_plan.h"
#include "common/plan/rotating_plan.h"

namespace tessera {
namespace {

constexpr int kSteps = 100;

RotatingPlan PlanOf(int ranks, const StepSchedule& schedule, int steps = kSteps) {
  return RotatingPlan({.ranks = ranks}, steps, schedule);
}

TEST(StepPlanTest, LeadingStepsAreSyncAndLaterOnesStale) {
  const RotatingPlan plan = PlanOf(2, {.sync_steps = 2});
  EXPECT_EQ(plan.KindOf(0), StepKind::kSync);
  EXPECT_EQ(plan.KindOf(1), StepKind::kSync);
  EXPECT_EQ(plan.KindOf(2), StepKind::kStale);
  EXPECT_EQ(plan.KindOf(99), StepKind::kStale);
}

TEST(StepPlanTest, RefreshEveryThirdStepAfterTheLeadingOnes) {
  const RotatingPlan plan = PlanOf(2, {.sync_steps = 1, .refresh_every = 3});
  std::set<int> sync;
  for (int step = 0; step < 8; ++step) {
    if (plan.KindOf(step) == StepKind::kSync) sync.insert(step);
  }
  EXPECT_EQ(sync, (std::set<int>{0, 3, 6}));
}

bool OutliveStep(int steps, const StepSchedule& schedule, int ranks = 2) {
  return PlanOf(ranks, schedule, steps).MostRows().outlive_step;
}

TEST(StepPlanTest, RefreshEveryStepHasNoStaleStep) {
  EXPECT_FALSE(OutliveStep(50, {.sync_steps = 1, .refresh_every = 1}));
  EXPECT_FALSE(OutliveStep(3, {.sync_steps = 3}));
  EXPECT_TRUE(OutliveStep(4, {.sync_steps = 3}));
}

TEST(StepPlanTest, HasAStaleStepIfAnyStepIs) {
  for (int steps = 1; steps <= 12; ++steps) {
    for (int sync_steps = 1; sync_steps <= 5; ++sync_steps) {
      for (int refresh_every = 0; refresh_every <= 5; ++refresh_every) {
        const StepSchedule schedule = {.sync_steps = sync_steps, .refresh_every = refresh_every};
        const RotatingPlan plan = PlanOf(2, schedule, steps);
        bool any = false;
        for (int step = 0; step < steps; ++step) any |= plan.KindOf(step) == StepKind::kStale;
        EXPECT_EQ(plan.MostRows().outlive_step, any) << steps << sync_steps << refresh_every;
        EXPECT_EQ(plan.MostRows().replayable, any) << steps << sync_steps << refresh_every;
      }
    }
  }
}

TEST(StepPlanTest, OneRankExchangesNothingAndKeepsNoRowsBeyondTheirStep) {
  const RotatingPlan plan = PlanOf(1, {.sync_steps = 2});
  EXPECT_FALSE(plan.Exchanges(0));
  EXPECT_FALSE(plan.Exchanges(2));
  EXPECT_FALSE(plan.MostRows().outlive_step);
  EXPECT_TRUE(plan.MostRows().replayable);
}

TEST(StepPlanTest, SeveralRanksExchangeInSyncStepsAlone) {
  const RotatingPlan plan = PlanOf(3, {.sync_steps = 2});
  EXPECT_TRUE(plan.Exchanges(1));
  EXPECT_FALSE(plan.Exchanges(2));
}

TEST(StepPlanTest, RanksStayDuringSyncStepsAndMoveOnByOneAfterwards) {
  const RotatingPlan plan = PlanOf(3, {.sync_steps = 2});
  const int expected[] = {1, 1, 2, 0, 1, 2};
  for (int step = 0; step < 6; ++step) EXPECT_EQ(plan.ChunkOfRank(step, 1), expected[step]) << step;
}

TEST(StepPlanTest, EveryStepIsAPermutation) {
  for (int ranks = 1; ranks <= 8; ++ranks) {
    for (int step = 0; step < 20; ++step) {
      std::set<int> chunks;
      for (int rank = 0; rank < ranks; ++rank) {
        chunks.insert(PlanOf(ranks, {}).ChunkOfRank(step, rank));
      }
      EXPECT_EQ(chunks.size(), static_cast<size_t>(ranks));
    }
  }
}

TEST(StepPlanTest, NoRankComputesMoreThanTheMostRows) {
  for (const TextMode mode : {TextMode::kSplit, TextMode::kReplicated}) {
    const ChunkLayout layout = {
        .text_tokens = 7, .image_tokens = 10, .ranks = 3, .text_mode = mode};
    const RotatingPlan plan(layout, kSteps, {});
    int64_t most = 0;
    for (int rank = 0; rank < 3; ++rank) most = std::max(most, plan.RowsOf(1, rank).size());
    EXPECT_EQ(plan.MostRows().computed, most);
    EXPECT_EQ(plan.MostRows().attended, 17);
  }
}

}  // namespace
}  // namespace tessera
