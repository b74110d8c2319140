#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/job/image_request.h"
#include "common/job/job_memory.h"
#include "common/model/model_info.h"
#include "worker/kernels/kernel_choice.h"
#include "worker/weights/load_progress.h"

namespace tessera {

class Communicator;

// Who encodes prompts, and on what. The others get the embeddings.
enum class TextEncoderPlace {
  kEveryRank,  // each for itself, on its device
  kRank0,      // rank 0, on its device
  kCpu,        // rank 0, on its host's processor
};

struct PipelineOptions {
  std::string model_dir;
  std::string device = "cpu";  // "cpu", "cuda" or "cuda:K"
  std::string dtype;  // "float32", "bfloat16", "float16"; empty: float32 on cpu, bfloat16 on cuda
  int threads = 0;    // CPU threads of this rank; 0: all cores
  std::string weight_cache_dir;  // see WeightOptions::cache_dir
  TextEncoderPlace text_encoder = TextEncoderPlace::kEveryRank;
  KernelChoice kernels;          // on CUDA
  int64_t job_memory_bytes = 0;  // that a job may take beside the weights; 0: what is left of them
  LoadProgressCallback on_load_progress;
};

// Why a job should stop, as the control plane carries it; the largest over the ranks wins.
enum class StopReason : int { kNone = 0, kCancelled = 1, kDeadline = 2 };

struct JobHooks {
  // After step `step` (0-based) of `steps`. A non-OK status is this rank's own failure: the group
  // is aborted with it.
  std::function<absl::Status(int step, int steps)> on_step;
  // Read once per step, on the way into the vote; any thread may set it. Null: never stops.
  const std::atomic<StopReason>* stop = nullptr;
};

// The whole engine of one rank: text encoders, transformer, scheduler, VAE. Weights are loaded
// once and outlive every epoch. Not thread-safe: one device thread owns it. Knows no gRPC, and this
// header knows no torch.
class Pipeline {
 public:
  // Errors name file, tensor or field: NOT_FOUND, INVALID_ARGUMENT, DATA_LOSS.
  static absl::StatusOr<std::unique_ptr<Pipeline>> Load(const PipelineOptions& options);
  virtual ~Pipeline() = default;

  virtual const ModelInfo& model() const = 0;
  virtual const std::string& dtype() const = 0;  // as resolved
  virtual int threads() const = 0;               // as resolved
  virtual const JobMemory& job_memory() const = 0;

  // Runs one job as one rank of the group behind `communicator`. All ranks call it with the same
  // request. Errors carry stage and step: OUT_OF_RANGE (more memory than the poorest rank has;
  // tried by none), CANCELLED or DEADLINE_EXCEEDED after a vote (the group stays whole);
  // INVALID_ARGUMENT on all ranks alike (the group stays whole); UNAVAILABLE or ABORTED from the
  // communicator and INTERNAL for this rank's own failure (the epoch is over).
  virtual absl::StatusOr<ImageResult> Generate(const ImageRequest& request,
                                               Communicator& communicator,
                                               const JobHooks& hooks) = 0;
};

}  // namespace tessera
