#include "common/job/job_size.h"

namespace tessera {

JobSize SizeOf(const ImageRequest& request, int size_multiple, int ranks) {
  return {.width = request.width,
          .height = request.height,
          .images = request.num_images,
          .steps = request.num_inference_steps,
          .text_tokens = request.max_sequence_length,
          .image_tokens = int64_t{request.width / size_multiple} * (request.height / size_multiple),
          .ranks = ranks,
          .true_cfg = request.true_cfg_scale > 1 && request.negative_prompt.has_value(),
          .text_mode = request.text_mode,
          .schedule = {.sync_steps = request.sync_steps, .refresh_every = request.refresh_every}};
}

}  // namespace tessera
