#include "server/request_conversion.h"

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "worker/parallel/step_plan.h"

namespace tessera {

internal::v1::ImageRequest ToLinkRequest(const v1::GenerateImageRequest& effective) {
  internal::v1::ImageRequest request;
  request.set_prompt(effective.prompt());
  if (effective.has_prompt_2()) request.set_prompt_2(effective.prompt_2());
  if (effective.has_negative_prompt()) request.set_negative_prompt(effective.negative_prompt());
  if (effective.has_negative_prompt_2()) {
    request.set_negative_prompt_2(effective.negative_prompt_2());
  }
  request.set_true_cfg_scale(effective.true_cfg_scale());
  request.set_width(effective.width());
  request.set_height(effective.height());
  request.set_num_inference_steps(effective.num_inference_steps());
  request.set_guidance_scale(effective.guidance_scale());
  request.set_num_images(effective.num_images());
  request.set_max_sequence_length(effective.max_sequence_length());
  request.set_seed(effective.seed());
  request.set_sync_steps(effective.sync_steps());
  request.set_refresh_every(effective.refresh_every());
  request.set_replicate_text(effective.text_mode() == v1::TEXT_MODE_REPLICATED);
  return request;
}

absl::StatusOr<ModelInfo> FromLinkModel(const internal::v1::ModelInfo& model) {
  if (model.fingerprint().empty()) {
    return absl::InvalidArgumentError("model.fingerprint: must not be empty");
  }
  const std::pair<std::string_view, int64_t> positive[] = {
      {"default_width", model.default_width()},
      {"default_height", model.default_height()},
      {"default_inference_steps", model.default_inference_steps()},
      {"default_max_sequence_length", model.default_max_sequence_length()},
      {"size_multiple", model.size_multiple()},
      {"min_size", model.min_size()},
      {"max_size", model.max_size()},
      {"max_pixels", model.max_pixels()},
      {"max_inference_steps", model.max_inference_steps()},
      {"max_images", model.max_images()},
      {"max_sequence_length", model.max_sequence_length()},
  };
  for (const auto& [field, value] : positive) {
    if (value > 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("model.", std::string(field), ": must be positive, is ", value));
  }
  return ModelInfo{
      .name = model.name(),
      .fingerprint = model.fingerprint(),
      .guidance_embeds = model.guidance_embeds(),
      .defaults = {.width = model.default_width(),
                   .height = model.default_height(),
                   .num_inference_steps = model.default_inference_steps(),
                   .guidance_scale = model.default_guidance_scale(),
                   .max_sequence_length = model.default_max_sequence_length()},
      .limits = {.size_multiple = model.size_multiple(),
                 .min_size = model.min_size(),
                 .max_size = model.max_size(),
                 .max_pixels = model.max_pixels(),
                 .max_inference_steps = model.max_inference_steps(),
                 .max_images = model.max_images(),
                 .max_sequence_length = model.max_sequence_length()},
  };
}

JobMemory FromLinkMemory(const internal::v1::JobMemory& memory) {
  return {.costs = {.layers = memory.layers(),
                    .kv_row = memory.kv_row(),
                    .open_layer_row = memory.open_layer_row(),
                    .computed_row = memory.computed_row(),
                    .recorded_row = memory.recorded_row(),
                    .any_row = memory.any_row(),
                    .text_token = memory.text_token(),
                    .step = memory.step(),
                    .decoded_pixel = memory.decoded_pixel(),
                    .picture_pixel = memory.picture_pixel(),
                    .max_bands = memory.max_bands()},
          .available = memory.available(),
          .shared = memory.shared()};
}

JobSize SizeOf(const v1::GenerateImageRequest& effective, int size_multiple, int ranks) {
  return {.width = effective.width(),
          .height = effective.height(),
          .images = effective.num_images(),
          .steps = effective.num_inference_steps(),
          .text_tokens = effective.max_sequence_length(),
          .image_tokens =
              int64_t{effective.width() / size_multiple} * (effective.height() / size_multiple),
          .ranks = ranks,
          .true_cfg = effective.true_cfg_scale() > 1 && effective.has_negative_prompt(),
          .replicated_text = effective.text_mode() == v1::TEXT_MODE_REPLICATED,
          .stale_steps = HasStaleStep(
              effective.num_inference_steps(),
              {.sync_steps = effective.sync_steps(), .refresh_every = effective.refresh_every()})};
}

v1::ModelDescription DescribeModel(const ModelInfo& model) {
  v1::ModelDescription description;
  description.set_name(model.name);
  description.set_fingerprint(model.fingerprint);
  description.set_guidance_embeds(model.guidance_embeds);
  v1::GenerateImageRequest& defaults = *description.mutable_defaults();
  defaults.set_true_cfg_scale(1);
  defaults.set_num_inference_steps(model.defaults.num_inference_steps);
  defaults.set_guidance_scale(model.defaults.guidance_scale);
  defaults.set_num_images(1);
  defaults.set_max_sequence_length(model.defaults.max_sequence_length);
  defaults.set_width(model.defaults.width);
  defaults.set_height(model.defaults.height);
  description.set_size_multiple(model.limits.size_multiple);
  description.set_min_size(model.limits.min_size);
  description.set_max_size(model.limits.max_size);
  description.set_max_pixels(model.limits.max_pixels);
  description.set_max_inference_steps(model.limits.max_inference_steps);
  description.set_max_images(model.limits.max_images);
  description.set_max_sequence_length(model.limits.max_sequence_length);
  return description;
}

int64_t WorstCaseReplyBytes(const v1::GenerateImageRequest& effective) {
  constexpr int64_t kBesidesPixels = 8192;  // per picture: chunk headers, settings in text chunks
  const int64_t scanlines =
      static_cast<int64_t>(effective.height()) * (1 + 3LL * effective.width());
  // Stored deflate blocks and the headers of small IDAT chunks add less than 1 byte in 256.
  const int64_t picture = scanlines + scanlines / 256 + kBesidesPixels;
  const int64_t settings = static_cast<int64_t>(effective.ByteSizeLong());
  return effective.num_images() * (picture + settings) + settings + kBesidesPixels;
}

}  // namespace tessera
