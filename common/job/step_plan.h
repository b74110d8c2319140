#pragma once

#include <compare>
#include <cstdint>

namespace tessera {

// How text tokens are treated by patch parallelism.
enum class TextMode {
  kSplit,       // cut into chunks like image tokens
  kReplicated,  // every rank computes every text token: text K and V are always fresh
};

// How a run alternates between exact and stale steps.
struct StepSchedule {
  int sync_steps = 1;     // leading sync steps, at least 1: a stale step needs a filled cache
  int refresh_every = 0;  // later sync steps; 0: never, 1: every step

  auto operator<=>(const StepSchedule&) const = default;
};

enum class StepKind {
  kSync,   // every attention gathers fresh keys and values from all ranks: exact
  kStale,  // a rank computes its chunk against its cached keys and values
};

// A pure function of the step (0-based) and the schedule.
StepKind KindOfStep(int step, const StepSchedule& schedule);

// The chunk `rank` works on: it moves on by one with every step after the leading sync steps.
int ChunkOfRank(int step, int rank, int ranks, const StepSchedule& schedule);

// Whether any of `steps` steps is stale, so that keys and values must outlive their step.
inline bool HasStaleStep(int steps, const StepSchedule& schedule) {
  return steps > schedule.sync_steps && schedule.refresh_every != 1;
}

}  // namespace tessera
