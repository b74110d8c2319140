#pragma once

#include <memory>
#include <vector>

#include "worker/parallel/parallel_strategy.h"

namespace tessera {

// Rotating patch-parallel attention over cached keys and values (docs/engine.md, "Attention";
// PipeFusion and DistriFusion describe relatives). A rank writes the rows of its chunk into its own
// cache. In a sync step the fresh rows of all ranks are gathered before each attention; in a stale
// step nothing is exchanged, and the other rows are as old as this rank's own last visit or the
// last gather. One rank is the plain exact attention.
class RotatingAttention : public StepAttention {
 public:
  // The cache holds all rows of the plan's layout. The references outlive the object.
  RotatingAttention(const ParallelPlan& plan, KvCache& cache, Communicator& communicator);

  void BeginStep(int step) override;
  KeyValue TextRows(int64_t layer) override;
  KeyValue ImageRows(int64_t layer) override;
  // Throws StatusException with the communicator's error.
  at::Tensor Attend(int64_t layer, const at::Tensor& q) override;

 private:
  const at::Tensor& Open(int64_t layer);
  void Close(int64_t layer);
  void GatherRows(const at::Tensor& key_value) const;

  const ParallelPlan& plan_;
  const ChunkLayout& layout_;  // the plan's
  KvCache& cache_;
  Communicator& communicator_;
  int step_ = 0;
  StepKind kind_ = StepKind::kSync;
  TokenRows mine_;  // the rows of this rank's chunk
  int64_t open_layer_ = -1;
};

class RotatingStrategy : public ParallelStrategy {
 public:
  using ParallelStrategy::ParallelStrategy;

  // Where no rows outlive their step, all layers share one buffer.
  KvCache::Shape CacheShape(const KvCache::Shape& all) const override;
  std::unique_ptr<StepAttention> MakeAttention(KvCache& cache,
                                               Communicator& communicator) const override;
};

}  // namespace tessera
