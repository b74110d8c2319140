#pragma once

#include <string>
#include <vector>

#include "tests/golden/pipeline/pipeline_run.h"

namespace tessera::testing {

// What FP8 is measured on.
struct Checkpoint {
  std::string name, dir;
  ImageRequest request;
};

// The tiny checkpoint, with this request, and models/shapes.
inline std::vector<Checkpoint> Checkpoints(const ImageRequest& tiny_request) {
  return {{"tiny", TinyFluxDir(), tiny_request},
          {"shapes",
           TESSERA_SHAPES_DIR,
           {.prompt = "a red circle on a blue background",
            .width = 128,
            .height = 128,
            .num_inference_steps = 16,
            .guidance_scale = 0,
            .max_sequence_length = 24,
            .seed = 42}}};
}

}  // namespace tessera::testing
