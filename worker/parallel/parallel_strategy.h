#pragma once

#include <memory>
#include <utility>

#include "common/plan/parallel_plan.h"
#include "worker/comm/communicator.h"
#include "worker/flux/joint_attention.h"
#include "worker/parallel/kv_cache.h"

namespace tessera {

// The attention of one rank in one pass, step after step. Owned by one thread.
class StepAttention : public JointAttention {
 public:
  // Before the forward pass of a step.
  virtual void BeginStep(int step) = 0;
};

// How the ranks of a group share one picture: a plan, the attention that carries the plan out, and
// the keys and values that this attention keeps. A job has one strategy, and every rank of its
// group the same. Immutable and thread-safe.
class ParallelStrategy {
 public:
  explicit ParallelStrategy(std::unique_ptr<const ParallelPlan> plan) : plan_(std::move(plan)) {}
  virtual ~ParallelStrategy() = default;

  const ParallelPlan& plan() const { return *plan_; }

  // The cache that one pass needs. `all` would hold the rows of every layer, each until a later
  // step.
  virtual KvCache::Shape CacheShape(const KvCache::Shape& all) const = 0;

  // The attention of one pass (true CFG has two, with caches of their own) over a cache of
  // CacheShape. The strategy, the cache and the communicator outlive the attention.
  virtual std::unique_ptr<StepAttention> MakeAttention(KvCache& cache,
                                                       Communicator& communicator) const = 0;

 private:
  const std::unique_ptr<const ParallelPlan> plan_;
};

// The strategy of a run of `steps` steps.
std::unique_ptr<const ParallelStrategy> MakeParallelStrategy(const ChunkLayout& layout, int steps,
                                                             const StepSchedule& schedule);

}  // namespace tessera
