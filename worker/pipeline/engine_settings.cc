#include "worker/pipeline/engine_settings.h"

namespace tessera {
namespace {

TextEncoderPlace PlaceOf(const std::string& text_encoder) {
  if (text_encoder == WorkerSettings::kRank0) return TextEncoderPlace::kRank0;
  if (text_encoder == WorkerSettings::kCpu) return TextEncoderPlace::kCpu;
  return TextEncoderPlace::kEveryRank;
}

}  // namespace

PipelineOptions PipelineOptionsOf(const WorkerSettings& settings) {
  const bool tuned = settings.cuda_path == WorkerSettings::kTuned;
  return {.dtype = settings.dtype,
          .threads = settings.threads,
          .weight_cache_dir = settings.weight_cache,
          .text_encoder = PlaceOf(settings.text_encoder),
          .kernels = KernelsOf(tuned ? CudaPath::kTuned : CudaPath::kAten),
          .job_memory_bytes = int64_t{settings.job_memory_mb} << 20};
}

Collectives CollectivesOf(const WorkerSettings& settings) {
  return settings.collectives == WorkerSettings::kNccl ? Collectives::kNccl : Collectives::kGloo;
}

}  // namespace tessera
