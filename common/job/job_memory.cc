#include "common/job/job_memory.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tessera {
namespace {

// How often the temporaries of an uncut decode hold what it keeps whole.
constexpr double kUncutTemporaries = 3;

// No sum of a request's sizes may overflow: in double, cut so that three of them can be added.
int64_t ToBytes(double bytes) { return static_cast<int64_t>(std::min(bytes, 3e18)); }

double ToDouble(int64_t value) { return static_cast<double>(value); }

RankRows RowsOf(const JobSize& size) {
  const ChunkLayout layout = {.text_tokens = size.text_tokens,
                              .image_tokens = size.image_tokens,
                              .ranks = static_cast<int>(size.ranks),
                              .text_mode = size.text_mode};
  return MakeParallelPlan(layout, static_cast<int>(size.steps), size.schedule)->MostRows();
}

double DecodeBytes(const JobSize& size, const MemoryCosts& costs) {
  const double pixels = ToDouble(size.width) * ToDouble(size.height);
  const double whole = pixels * ToDouble(costs.decoded_pixel);
  const double bands = std::min(ToDouble(costs.max_bands), kUncutTemporaries * whole);
  return whole + bands + pixels * ToDouble(size.images) * ToDouble(costs.picture_pixel);
}

std::string InMiB(int64_t bytes) {
  return absl::StrFormat("%.0f MiB", ToDouble(bytes) / (1 << 20));
}

}  // namespace

MemoryNeed NeedOf(const JobSize& size, const MemoryCosts& costs) {
  const RankRows plan = RowsOf(size);
  const double passes = size.true_cfg ? 2 : 1;
  const double images = ToDouble(size.images);
  const double rows = ToDouble(size.text_tokens) + ToDouble(size.image_tokens);
  const double layers = plan.outlive_step ? ToDouble(costs.layers) : 1;

  const double text = ToDouble(size.text_tokens) * ToDouble(costs.text_token);
  const double mine = images * ToDouble(plan.computed);
  const double denoise = mine * ToDouble(costs.computed_row);
  const double beside = passes * ToDouble(size.steps) * ToDouble(costs.step) +
                        (passes + images) * rows * ToDouble(costs.any_row);
  const double kv_row = layers * ToDouble(costs.kv_row) + ToDouble(costs.open_layer_row);
  return {.kv_cache = ToBytes(passes * images * ToDouble(plan.attended) * kv_row),
          .recorded = ToBytes(plan.replayable ? mine * ToDouble(costs.recorded_row) : 0),
          .activations = ToBytes(beside + std::max({text, denoise, DecodeBytes(size, costs)}))};
}

absl::Status CheckFits(const JobSize& size, const JobMemory& memory) {
  const MemoryNeed need = NeedOf(size, memory.costs);
  const int64_t available = memory.available_to_each(size.ranks);
  if (need.total() <= available) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "width ", size.width, ", height ", size.height, ", num_images ", size.images,
      ", max_sequence_length ", size.text_tokens, size.true_cfg ? ", negative_prompt" : "", " and ",
      size.steps, " steps on ", size.ranks, size.ranks == 1 ? " rank" : " ranks", " take ",
      InMiB(need.total()), " of a rank's memory beside the weights (", InMiB(need.kv_cache),
      " for keys and values, ", InMiB(need.recorded + need.activations),
      " for activations); it has ", InMiB(available)));
}

}  // namespace tessera
