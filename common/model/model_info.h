#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace tessera {

class Checkpoint;

// What a request may leave out. From tessera.json beside model_index.json, else FLUX's own: with a
// guidance embedder (dev) 28 steps, guidance 3.5, 512 text tokens; without (schnell) 4 steps,
// guidance 0, 256 text tokens; 1024x1024.
struct ModelDefaults {
  int width = 1024;   // pixels
  int height = 1024;  // pixels
  int num_inference_steps = 28;
  double guidance_scale = 3.5;
  int max_sequence_length = 512;  // T5 tokens
};

struct ModelLimits {
  int size_multiple = 16;  // width and height are multiples of this: VAE scale x 2
  int min_size = 16;       // pixels, either side
  int max_size = 4096;     // pixels, either side
  int64_t max_pixels = 4096LL * 4096;
  int max_inference_steps = 1000;
  int max_images = 16;
  int max_sequence_length = 512;
};

// What a checkpoint is, without its weights. Knows no torch: the server reads it too.
struct ModelInfo {
  std::string name;         // tessera.json's "name", else the checkpoint's own
  std::string fingerprint;  // 16 hex digits over configs, tokenizers, and sizes, headers and
                            // samples of weight files
  bool guidance_embeds = false;
  ModelDefaults defaults;
  ModelLimits limits;
};

// Reads the parts' configs and tessera.json, and computes the fingerprint. INVALID_ARGUMENT or
// NOT_FOUND naming the file and field, all problems of tessera.json at once.
absl::StatusOr<ModelInfo> ReadModelInfo(const Checkpoint& checkpoint);

// Opens the checkpoint at `path` for it. Errors also as Checkpoint::Open's.
absl::StatusOr<ModelInfo> ReadModelInfo(const std::string& path);

}  // namespace tessera
