#pragma once

#include <cstdint>
#include <string>

#include "worker/kernels/kernel_choice.h"
#include "worker/weights/load_progress.h"

namespace tessera {

// Who encodes prompts, and on what. The others get the embeddings.
enum class TextEncoderPlace {
  kEveryRank,  // each for itself, on its device
  kRank0,      // rank 0, on its device
  kCpu,        // rank 0, on its host's processor
};

// What a rank loads, and on what it computes. No torch in this header.
struct PipelineOptions {
  std::string model_dir;
  std::string device = "cpu";  // "cpu", "cuda" or "cuda:K"
  std::string dtype;  // as common/model/dtype_names.h; empty: float32 on cpu, bfloat16 on cuda
  int threads = 0;    // CPU threads of this rank; 0: all cores
  std::string weight_cache_dir;  // see WeightOptions::cache_dir
  TextEncoderPlace text_encoder = TextEncoderPlace::kEveryRank;
  KernelChoice kernels;          // on CUDA
  int64_t job_memory_bytes = 0;  // that a job may take beside the weights; 0: what is left of them
  LoadProgressCallback on_load_progress;
};

}  // namespace tessera
