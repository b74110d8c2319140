#pragma once

#include <compare>
#include <cstdint>

#include "common/job/image_request.h"
#include "common/plan/parallel_plan.h"

namespace tessera {

// What of a job decides how much memory a rank needs for it, and how long a group takes.
struct JobSize {
  int64_t width = 0;   // pixels
  int64_t height = 0;  // pixels
  int64_t images = 1;
  int64_t steps = 1;
  int64_t text_tokens = 0;
  int64_t image_tokens = 0;
  int64_t ranks = 1;
  bool true_cfg = false;  // every step runs two passes
  TextMode text_mode = TextMode::kSplit;
  StepSchedule schedule;

  auto operator<=>(const JobSize&) const = default;
};

// `size_multiple` pixels square make a token.
JobSize SizeOf(const ImageRequest& request, int size_multiple, int ranks);

}  // namespace tessera
