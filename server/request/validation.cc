#include "server/request/validation.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "server/request/utf8.h"

namespace tessera {
namespace {

constexpr int kMaxRotationSteps = 1000;  // of sync_steps and refresh_every
constexpr double kMaxGuidance = 100;
constexpr size_t kMaxRequestIdBytes = 128;

class Violations {
 public:
  void Add(std::string_view field, std::string description) {
    violations_.push_back({std::string(field), std::move(description)});
  }

  void CheckText(std::string_view field, const std::string& text) {
    if (!IsValidUtf8(text)) {
      Add(field, "must be valid UTF-8");
    } else if (text.find('\0') != std::string::npos) {
      Add(field, "must not contain the character U+0000");
    }
  }

  void CheckInt(std::string_view field, int value, int low, int high) {
    if (value < low || value > high) Add(field, Expected(low, high, value));
  }

  void CheckDouble(std::string_view field, double value, double low, double high) {
    if (!(value >= low && value <= high)) Add(field, Expected(low, high, value));  // NaN too
  }

  std::vector<FieldViolation> Take() { return std::move(violations_); }

 private:
  template <typename T>
  static std::string Expected(T low, T high, T value) {
    return absl::StrCat("must be in [", low, ", ", high, "], is ", value);
  }

  std::vector<FieldViolation> violations_;
};

void CheckModelIndependent(const v1::GenerateImageRequest& request, Violations& violations) {
  violations.CheckText("prompt", request.prompt());
  if (request.has_prompt_2()) violations.CheckText("prompt_2", request.prompt_2());
  if (request.has_negative_prompt()) {
    violations.CheckText("negative_prompt", request.negative_prompt());
  }
  if (request.has_negative_prompt_2()) {
    violations.CheckText("negative_prompt_2", request.negative_prompt_2());
  }
  if (request.has_true_cfg_scale()) {
    violations.CheckDouble("true_cfg_scale", request.true_cfg_scale(), 0, kMaxGuidance);
  }
  if (request.has_guidance_scale()) {
    violations.CheckDouble("guidance_scale", request.guidance_scale(), 0, kMaxGuidance);
  }
  if (request.has_sync_steps()) {
    violations.CheckInt("sync_steps", request.sync_steps(), 1, kMaxRotationSteps);
  }
  if (request.has_refresh_every()) {
    violations.CheckInt("refresh_every", request.refresh_every(), 0, kMaxRotationSteps);
  }
  violations.CheckText("request_id", request.request_id());
  if (request.request_id().size() > kMaxRequestIdBytes) {
    violations.Add("request_id", absl::StrCat("must have at most ", kMaxRequestIdBytes,
                                              " bytes, has ", request.request_id().size()));
  }
  if (!v1::TextMode_IsValid(request.text_mode())) {
    violations.Add("text_mode", absl::StrCat("must be a value of TextMode, is ",
                                             static_cast<int>(request.text_mode())));
  }
}

// Whether the side is fine by itself, so that the number of pixels may be judged.
bool CheckSide(std::string_view field, int side, const ModelLimits& limits,
               Violations& violations) {
  const bool in_range = side >= limits.min_size && side <= limits.max_size;
  if (in_range && side % limits.size_multiple == 0) return true;
  violations.Add(field, absl::StrCat("must be a multiple of ", limits.size_multiple, " in [",
                                     limits.min_size, ", ", limits.max_size, "], is ", side));
  return false;
}

void CheckAgainstModel(const v1::GenerateImageRequest& request, const ModelInfo& model,
                       Violations& violations) {
  const ModelLimits& limits = model.limits;
  if (request.has_num_inference_steps()) {
    violations.CheckInt("num_inference_steps", request.num_inference_steps(), 1,
                        limits.max_inference_steps);
  }
  if (request.has_num_images()) {
    violations.CheckInt("num_images", request.num_images(), 1, limits.max_images);
  }
  if (request.has_max_sequence_length()) {
    violations.CheckInt("max_sequence_length", request.max_sequence_length(), 1,
                        limits.max_sequence_length);
  }
  const int width = request.has_width() ? request.width() : model.defaults.width;
  const int height = request.has_height() ? request.height() : model.defaults.height;
  const bool width_ok = !request.has_width() || CheckSide("width", width, limits, violations);
  const bool height_ok = !request.has_height() || CheckSide("height", height, limits, violations);
  const int64_t pixels = static_cast<int64_t>(width) * height;
  if (width_ok && height_ok && pixels > limits.max_pixels) {
    violations.Add(request.has_width() ? "width" : "height",
                   absl::StrCat("width x height must be at most ", limits.max_pixels,
                                " pixels, is ", width, " x ", height));
  }
}

}  // namespace

std::vector<FieldViolation> ValidateRequest(const v1::GenerateImageRequest& request,
                                            const ModelInfo* model) {
  Violations violations;
  CheckModelIndependent(request, violations);
  if (model != nullptr) CheckAgainstModel(request, *model, violations);
  return violations.Take();
}

v1::GenerateImageRequest FillDefaults(const v1::GenerateImageRequest& request,
                                      const ModelInfo& model, const RequestDefaults& defaults,
                                      uint32_t drawn_seed) {
  v1::GenerateImageRequest filled;
  filled.set_true_cfg_scale(1);
  filled.set_num_inference_steps(model.defaults.num_inference_steps);
  filled.set_guidance_scale(model.defaults.guidance_scale);
  filled.set_num_images(1);
  filled.set_max_sequence_length(model.defaults.max_sequence_length);
  filled.set_width(model.defaults.width);
  filled.set_height(model.defaults.height);
  filled.set_seed(drawn_seed);
  filled.set_sync_steps(defaults.sync_steps);
  filled.set_refresh_every(defaults.refresh_every);
  filled.set_text_mode(defaults.text_mode);
  filled.MergeFrom(request);  // fields that the request has win; TEXT_MODE_UNSPECIFIED does not
  return filled;
}

}  // namespace tessera
