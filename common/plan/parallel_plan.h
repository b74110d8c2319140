#pragma once

#include <compare>
#include <cstdint>
#include <memory>

#include "common/plan/chunk_layout.h"

namespace tessera {

// How a run alternates between exact and stale steps.
struct StepSchedule {
  int sync_steps = 1;     // leading sync steps, at least 1: a stale step needs a filled cache
  int refresh_every = 0;  // later sync steps; 0: never, 1: every step

  auto operator<=>(const StepSchedule&) const = default;
};

enum class StepKind {
  kSync,   // every attention reads fresh keys and values of all rows: exact
  kStale,  // attention reads keys and values of other ranks' rows as they were in earlier steps
};

// The rows of one picture and one pass that a rank deals with: the most of any rank in any step.
struct RankRows {
  int64_t computed = 0;       // rows that the rank computes in a step
  int64_t attended = 0;       // rows whose keys and values one attention reads
  bool outlive_step = false;  // keys and values are read in later steps: every layer keeps its own
  bool replayable = false;    // some step exchanges nothing inside its passes and can be recorded
};

// How the ranks of a group share one picture: the rows that each rank computes in each step, the
// steps in which ranks exchange keys and values, and the memory that follows from both. A pure
// function of its arguments, so that every rank and the server find the same; the attention that
// carries a plan out is in worker/parallel/parallel_strategy.h. Steps are counted from 0. Immutable
// and thread-safe.
class ParallelPlan {
 public:
  explicit ParallelPlan(const ChunkLayout& layout) : layout_(layout) {}
  virtual ~ParallelPlan() = default;

  const ChunkLayout& layout() const { return layout_; }

  virtual StepKind KindOf(int step) const = 0;

  // The chunk that the rank computes in this step. In every step the ranks' chunks are a
  // permutation of all chunks.
  virtual int ChunkOfRank(int step, int rank) const = 0;
  TokenRows RowsOf(int step, int rank) const { return layout_.Chunk(ChunkOfRank(step, rank)); }

  // Whether ranks exchange anything inside the passes of this step.
  virtual bool Exchanges(int step) const = 0;

  virtual RankRows MostRows() const = 0;

 private:
  const ChunkLayout layout_;
};

// The plan of a run of `steps` steps.
std::unique_ptr<const ParallelPlan> MakeParallelPlan(const ChunkLayout& layout, int steps,
                                                     const StepSchedule& schedule);

}  // namespace tessera
