#include "server/request/request_conversion.h"

#include "common/request/request_fields.h"
#include "server/request/validation.h"

namespace tessera {

v1::ModelDescription DescribeModel(const ModelInfo& model) {
  v1::ModelDescription description;
  description.set_name(model.name);
  description.set_fingerprint(model.fingerprint);
  description.set_guidance_embeds(model.guidance_embeds);
  FillFields(*description.mutable_defaults(), {.model = &model.defaults}, RequestFields());
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
