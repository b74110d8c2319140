#pragma once

#include "common/plan/parallel_plan.h"

namespace tessera {

// Ranks move on by one chunk with every step after the leading sync steps, so that each rank visits
// each chunk once in N stale steps. A sync step gathers the keys and values of all ranks; a stale
// step exchanges nothing, and reads what the last gather or the rank's own last visit left.
class RotatingPlan : public ParallelPlan {
 public:
  RotatingPlan(const ChunkLayout& layout, int steps, const StepSchedule& schedule)
      : ParallelPlan(layout), steps_(steps), schedule_(schedule) {}

  StepKind KindOf(int step) const override;
  int ChunkOfRank(int step, int rank) const override;
  bool Exchanges(int step) const override;
  RankRows MostRows() const override;

 private:
  const int steps_;
  const StepSchedule schedule_;
};

}  // namespace tessera
