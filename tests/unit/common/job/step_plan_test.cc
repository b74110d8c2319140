#include "common/job/step_plan.h"

#include <gtest/gtest.h>

#include <set>

namespace tessera {
namespace {

TEST(StepPlanTest, LeadingStepsAreSyncAndLaterOnesStale) {
  const StepSchedule schedule = {.sync_steps = 2};
  EXPECT_EQ(KindOfStep(0, schedule), StepKind::kSync);
  EXPECT_EQ(KindOfStep(1, schedule), StepKind::kSync);
  EXPECT_EQ(KindOfStep(2, schedule), StepKind::kStale);
  EXPECT_EQ(KindOfStep(99, schedule), StepKind::kStale);
}

TEST(StepPlanTest, RefreshEveryThirdStepAfterTheLeadingOnes) {
  const StepSchedule schedule = {.sync_steps = 1, .refresh_every = 3};
  std::set<int> sync;
  for (int step = 0; step < 8; ++step) {
    if (KindOfStep(step, schedule) == StepKind::kSync) sync.insert(step);
  }
  EXPECT_EQ(sync, (std::set<int>{0, 3, 6}));
}

TEST(StepPlanTest, RefreshEveryStepHasNoStaleStep) {
  EXPECT_FALSE(HasStaleStep(50, {.sync_steps = 1, .refresh_every = 1}));
  EXPECT_FALSE(HasStaleStep(3, {.sync_steps = 3}));
  EXPECT_TRUE(HasStaleStep(4, {.sync_steps = 3}));
}

TEST(StepPlanTest, HasAStaleStepIfAnyStepIs) {
  for (int steps = 1; steps <= 12; ++steps) {
    for (int sync_steps = 1; sync_steps <= 5; ++sync_steps) {
      for (int refresh_every = 0; refresh_every <= 5; ++refresh_every) {
        const StepSchedule schedule = {.sync_steps = sync_steps, .refresh_every = refresh_every};
        bool any = false;
        for (int step = 0; step < steps; ++step) {
          any |= KindOfStep(step, schedule) == StepKind::kStale;
        }
        EXPECT_EQ(HasStaleStep(steps, schedule), any) << steps << sync_steps << refresh_every;
      }
    }
  }
}

TEST(StepPlanTest, RanksStayDuringSyncStepsAndMoveOnByOneAfterwards) {
  const StepSchedule schedule = {.sync_steps = 2};
  const int expected[] = {1, 1, 2, 0, 1, 2};
  for (int step = 0; step < 6; ++step)
    EXPECT_EQ(ChunkOfRank(step, 1, 3, schedule), expected[step]) << step;
}

TEST(StepPlanTest, EveryStepIsAPermutation) {
  for (int ranks = 1; ranks <= 8; ++ranks) {
    for (int step = 0; step < 20; ++step) {
      std::set<int> chunks;
      for (int rank = 0; rank < ranks; ++rank) chunks.insert(ChunkOfRank(step, rank, ranks, {}));
      EXPECT_EQ(chunks.size(), static_cast<size_t>(ranks));
    }
  }
}

}  // namespace
}  // namespace tessera
