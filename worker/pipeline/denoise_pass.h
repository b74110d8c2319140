#pragma once

#include <ATen/core/Tensor.h>

#include <list>
#include <map>
#include <memory>
#include <optional>

#include "worker/comm/communicator.h"
#include "worker/flux/flux_transformer.h"
#include "worker/kernels/cuda/device_graph.h"
#include "worker/parallel/kv_cache.h"
#include "worker/parallel/parallel_strategy.h"

namespace tessera {

// What one pass over the steps works on; a run has one pass, true CFG two. What it refers to
// outlives the run.
struct PassInput {
  const FluxConditioning& conditioning;
  const ParallelStrategy& strategy;
  int64_t images = 1;  // of the batch
  Communicator& communicator;
};

struct DenoiseOptions {
  GraphRecorder* recorder = nullptr;  // outlives who uses it; null: nothing is recorded
  KvStorage kv_storage = KvStorage::kAsComputed;
};

// The forward passes of one rank, step after step, with their KV cache. With a recorder, a step
// that exchanges nothing is replayed: of each size and chunk the first pass runs as it stands, the
// second is recorded. Cache and recordings stay from run to run, the recordings of the sizes used
// last. Owned by one thread.
class DenoisePass {
 public:
  static constexpr int kRecordedSizes = 4;

  explicit DenoisePass(const FluxTransformer& transformer, const DenoiseOptions& options = {})
      : transformer_(transformer), options_(options), cache_(transformer.kernels()) {}
  DenoisePass(const DenoisePass&) = delete;
  DenoisePass& operator=(const DenoisePass&) = delete;

  void Begin(const PassInput& input, const at::TensorOptions& options);

  // The velocity [images, rows, out_channels] of the rows that the plan gives this rank in the
  // step, good until the next call. latents [images, all rows, in_channels]. Throws as the
  // strategy's attention does.
  at::Tensor Velocity(int step, const at::Tensor& latents);

  // Gives the memory back.
  void Free();
  int64_t cache_bytes() const { return cache_.bytes(); }

 private:
  struct Size {
    ChunkLayout layout;
    int64_t images, prompts;
    bool operator==(const Size&) const = default;
  };
  // The steps of one size, all reading the same places.
  struct RecordedSteps {
    struct Step {
      at::Tensor velocity;
      std::unique_ptr<DeviceGraph> graph;  // null: seen once
    };
    Size size;
    FluxConditioning conditioning;  // with the modulation of one step
    at::Tensor latents;
    std::map<int, Step> of_chunk;
  };

  bool Records() const;
  void BeginRecorded(const Size& size, const at::TensorOptions& options);
  at::Tensor Replayed(RecordedSteps::Step& recorded, const TokenRows& rows, int step,
                      const at::Tensor& latents);

  const FluxTransformer& transformer_;
  const DenoiseOptions options_;
  KvCache cache_;
  std::optional<PassInput> input_;
  std::unique_ptr<StepAttention> attention_;
  std::list<RecordedSteps> recorded_;  // the one in use, then those used before
};

}  // namespace tessera
