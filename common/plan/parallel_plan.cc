#include "common/plan/parallel_plan.h"

#include "common/plan/rotating_plan.h"

namespace tessera {

std::unique_ptr<const ParallelPlan> MakeParallelPlan(const ChunkLayout& layout, int steps,
                                                     const StepSchedule& schedule) {
  return std::make_unique<RotatingPlan>(layout, steps, schedule);
}

}  // namespace tessera
