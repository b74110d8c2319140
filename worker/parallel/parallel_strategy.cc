#include "worker/parallel/parallel_strategy.h"

#include "worker/parallel/rotating_strategy.h"

namespace tessera {

std::unique_ptr<const ParallelStrategy> MakeParallelStrategy(const ChunkLayout& layout, int steps,
                                                             const StepSchedule& schedule) {
  return std::make_unique<RotatingStrategy>(MakeParallelPlan(layout, steps, schedule));
}

}  // namespace tessera
