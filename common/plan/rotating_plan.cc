#include "common/plan/rotating_plan.h"

#include <algorithm>

namespace tessera {

StepKind RotatingPlan::KindOf(int step) const {
  if (step < schedule_.sync_steps) return StepKind::kSync;
  const int since = step - schedule_.sync_steps + 1;
  const bool refresh = schedule_.refresh_every > 0 && since % schedule_.refresh_every == 0;
  return refresh ? StepKind::kSync : StepKind::kStale;
}

int RotatingPlan::ChunkOfRank(int step, int rank) const {
  return (rank + std::max(0, step - schedule_.sync_steps + 1)) % layout().ranks;
}

bool RotatingPlan::Exchanges(int step) const {
  return layout().ranks > 1 && KindOf(step) == StepKind::kSync;
}

RankRows RotatingPlan::MostRows() const {
  const bool has_stale_step = steps_ > schedule_.sync_steps && schedule_.refresh_every != 1;
  return {.computed = layout().Chunk(0).size(),  // no chunk is longer than the first
          .attended = layout().tokens(),
          .outlive_step = layout().ranks > 1 && has_stale_step,
          .replayable = layout().ranks == 1 || has_stale_step};
}

}  // namespace tessera
