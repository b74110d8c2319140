#include "common/wire/link_conversion.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tessera {

namespace pb = internal::v1;

pb::Outcome ToProto(const absl::Status& status) {
  pb::Outcome outcome;
  outcome.set_code(static_cast<int>(status.code()));
  outcome.set_message(std::string(status.message()));
  return outcome;
}

pb::ModelInfo ToProto(const ModelInfo& model) {
  pb::ModelInfo info;
  info.set_name(model.name);
  info.set_fingerprint(model.fingerprint);
  info.set_guidance_embeds(model.guidance_embeds);
  info.set_default_width(model.defaults.width);
  info.set_default_height(model.defaults.height);
  info.set_default_inference_steps(model.defaults.num_inference_steps);
  info.set_default_guidance_scale(model.defaults.guidance_scale);
  info.set_default_max_sequence_length(model.defaults.max_sequence_length);
  info.set_size_multiple(model.limits.size_multiple);
  info.set_min_size(model.limits.min_size);
  info.set_max_size(model.limits.max_size);
  info.set_max_pixels(model.limits.max_pixels);
  info.set_max_inference_steps(model.limits.max_inference_steps);
  info.set_max_images(model.limits.max_images);
  info.set_max_sequence_length(model.limits.max_sequence_length);
  return info;
}

absl::StatusOr<ModelInfo> FromLinkModel(const pb::ModelInfo& model) {
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

pb::JobMemory ToProto(const JobMemory& memory) {
  pb::JobMemory message;
  message.set_available(memory.available);
  message.set_shared(memory.shared);
  message.set_layers(memory.costs.layers);
  message.set_kv_row(memory.costs.kv_row);
  message.set_open_layer_row(memory.costs.open_layer_row);
  message.set_computed_row(memory.costs.computed_row);
  message.set_recorded_row(memory.costs.recorded_row);
  message.set_any_row(memory.costs.any_row);
  message.set_text_token(memory.costs.text_token);
  message.set_step(memory.costs.step);
  message.set_decoded_pixel(memory.costs.decoded_pixel);
  message.set_picture_pixel(memory.costs.picture_pixel);
  message.set_max_bands(memory.costs.max_bands);
  return message;
}

JobMemory FromLinkMemory(const pb::JobMemory& memory) {
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

pb::JobStage ToProto(JobStage stage) {
  switch (stage) {
    case JobStage::kMemoryPlan:
      return pb::JOB_STAGE_MEMORY_PLAN;
    case JobStage::kTextEncode:
      return pb::JOB_STAGE_TEXT_ENCODE;
    case JobStage::kDenoise:
      return pb::JOB_STAGE_DENOISE;
    case JobStage::kVaeDecode:
      return pb::JOB_STAGE_VAE_DECODE;
    case JobStage::kQueue:
    case JobStage::kPng:
      return pb::JOB_STAGE_UNSPECIFIED;
  }
  return pb::JOB_STAGE_UNSPECIFIED;
}

std::optional<JobStage> FromProto(pb::JobStage stage) {
  for (const JobStage each :
       {JobStage::kMemoryPlan, JobStage::kTextEncode, JobStage::kDenoise, JobStage::kVaeDecode}) {
    if (ToProto(each) == stage) return each;
  }
  return std::nullopt;
}

pb::JobReport MakeJobReport(const ImageResult& result) {
  pb::JobReport report;
  report.set_text_encode_s(result.times.text_encode_s);
  report.set_denoise_s(result.times.denoise_s);
  report.set_decode_s(result.times.decode_s);
  report.mutable_step_ms()->Add(result.times.step_ms.begin(), result.times.step_ms.end());
  report.set_clip_truncated(result.clip_truncated);
  report.set_t5_truncated(result.t5_truncated);
  report.set_clip_tokens(result.clip_tokens);
  report.set_t5_tokens(result.t5_tokens);
  report.set_bytes_received(result.bytes_received);
  return report;
}

ImageRequest FromProto(const v1::GenerateImageRequest& request) {
  ImageRequest result;
  result.prompt = request.prompt();
  if (request.has_prompt_2()) result.prompt_2 = request.prompt_2();
  if (request.has_negative_prompt()) result.negative_prompt = request.negative_prompt();
  if (request.has_negative_prompt_2()) result.negative_prompt_2 = request.negative_prompt_2();
  result.true_cfg_scale = request.true_cfg_scale();
  result.width = request.width();
  result.height = request.height();
  result.num_inference_steps = request.num_inference_steps();
  result.guidance_scale = request.guidance_scale();
  result.num_images = request.num_images();
  result.max_sequence_length = request.max_sequence_length();
  result.seed = request.seed();
  result.sync_steps = request.sync_steps();
  result.refresh_every = request.refresh_every();
  result.text_mode =
      request.text_mode() == v1::TEXT_MODE_REPLICATED ? TextMode::kReplicated : TextMode::kSplit;
  return result;
}

std::vector<pb::PixelChunk> MakePixelChunks(const pb::JobKey& key,
                                            const std::vector<std::string>& pictures) {
  std::vector<pb::PixelChunk> chunks;
  for (size_t image = 0; image < pictures.size(); ++image) {
    for (size_t begin = 0; begin < pictures[image].size(); begin += kPixelChunkBytes) {
      pb::PixelChunk& chunk = chunks.emplace_back();
      *chunk.mutable_key() = key;
      chunk.set_image_index(static_cast<int>(image));
      chunk.set_data(pictures[image].substr(begin, kPixelChunkBytes));
    }
  }
  return chunks;
}

}  // namespace tessera
