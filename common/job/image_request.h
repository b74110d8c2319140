#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/plan/chunk_layout.h"

namespace tessera {

// One job, complete: every default has been filled in. No torch here: the link to the server
// includes it.
struct ImageRequest {
  std::string prompt;
  std::optional<std::string> prompt_2;  // absent or empty: prompt
  std::optional<std::string>
      negative_prompt;  // with true_cfg_scale > 1: true CFG; "" counts as given
  std::optional<std::string> negative_prompt_2;
  double true_cfg_scale = 1.0;
  int width = 1024;   // pixels
  int height = 1024;  // pixels
  int num_inference_steps = 28;
  double guidance_scale = 3.5;
  int num_images = 1;
  int max_sequence_length = 512;  // T5 tokens
  uint64_t seed = 0;              // the low 32 bits count, as in torch's CPU generator
  int sync_steps = 1;
  int refresh_every = 0;  // 0: never
  TextMode text_mode = TextMode::kSplit;
};

struct StageTimes {
  double text_encode_s = 0;
  double denoise_s = 0;
  double decode_s = 0;
  std::vector<double> step_ms;  // one per denoising step
};

struct ImageResult {
  std::vector<std::string> pictures;  // RGB8, [height, width, 3] each; on rank 0, empty elsewhere
  StageTimes times;
  bool clip_truncated = false;  // the prompt had more tokens than CLIP takes
  bool t5_truncated = false;    // the prompt had more tokens than max_sequence_length
  int clip_tokens = 0;
  int t5_tokens = 0;
  int64_t bytes_received = 0;  // from other ranks, over the whole job
};

}  // namespace tessera
