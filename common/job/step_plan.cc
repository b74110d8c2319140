#include "common/job/step_plan.h"

#include <algorithm>

namespace tessera {

StepKind KindOfStep(int step, const StepSchedule& schedule) {
  if (step < schedule.sync_steps) return StepKind::kSync;
  const int since = step - schedule.sync_steps + 1;
  const bool refresh = schedule.refresh_every > 0 && since % schedule.refresh_every == 0;
  return refresh ? StepKind::kSync : StepKind::kStale;
}

int ChunkOfRank(int step, int rank, int ranks, const StepSchedule& schedule) {
  return (rank + std::max(0, step - schedule.sync_steps + 1)) % ranks;
}

}  // namespace tessera
