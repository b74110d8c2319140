#pragma once

#include <vector>

#include "common/job/step_plan.h"
#include "worker/comm/communicator.h"
#include "worker/flux/joint_attention.h"
#include "worker/parallel/chunk_layout.h"
#include "worker/parallel/kv_cache.h"

namespace tessera {

// Rotating patch-parallel attention over cached keys and values (docs/engine.md, "Attention";
// PipeFusion and DistriFusion describe relatives). A rank writes the rows of its chunk into its own
// cache. In a sync step the fresh rows of all ranks are gathered before each attention; in a stale
// step nothing is exchanged, and the other rows are as old as this rank's own last visit or the
// last gather. One rank is the plain exact attention.
//
// One object per pass (true CFG has two, with caches of their own) and rank. Owned by one thread.
class RotatingAttention : public JointAttention {
 public:
  // The cache holds layout.text_tokens + layout.image_tokens rows. Both references outlive the
  // object.
  RotatingAttention(const KvCache& cache, const ChunkLayout& layout, Communicator& communicator);

  // Before the forward pass of a step: chunk_of_rank[r] is the chunk rank r works on.
  void BeginStep(StepKind kind, std::vector<int> chunk_of_rank);

  KeyValue TextRows(int64_t layer) override;
  KeyValue ImageRows(int64_t layer) override;
  // Throws StatusException with the communicator's error.
  at::Tensor Attend(int64_t layer, const at::Tensor& q) override;

 private:
  TokenRows RowsOf(int rank) const { return layout_.Chunk(chunk_of_rank_[rank]); }
  const at::Tensor& Open(int64_t layer);
  void Close(int64_t layer);
  void GatherRows(const at::Tensor& key_value) const;

  const KvCache& cache_;
  const ChunkLayout layout_;
  Communicator& communicator_;
  StepKind kind_ = StepKind::kSync;
  std::vector<int> chunk_of_rank_;
  int64_t open_layer_ = -1;
};

}  // namespace tessera
