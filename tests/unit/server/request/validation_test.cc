#include "server/request/validation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

ModelInfo Model() {
  ModelInfo model;
  model.defaults = {.width = 256,
                    .height = 128,
                    .num_inference_steps = 28,
                    .guidance_scale = 3.5,
                    .max_sequence_length = 512};
  model.limits = {.size_multiple = 16,
                  .min_size = 32,
                  .max_size = 2048,
                  .max_pixels = 1024 * 1024,
                  .max_inference_steps = 100,
                  .max_images = 4,
                  .max_sequence_length = 512};
  return model;
}

std::vector<std::string> FieldsOf(const std::vector<FieldViolation>& violations) {
  std::vector<std::string> fields;
  for (const FieldViolation& violation : violations) fields.push_back(violation.field);
  return fields;
}

struct Case {
  std::string name;
  std::function<void(v1::GenerateImageRequest&)> set;
  std::string field;  // that is violated; empty: none
  bool needs_model = false;
};

using Request = v1::GenerateImageRequest;

std::vector<Case> Cases() {
  const std::string bad = "\xFF";
  return {
      {"PromptAlone", [](Request& r) { r.set_prompt("a cat"); }, ""},
      {"EmptyPrompt", [](Request& r) { r.set_prompt(""); }, ""},
      {"RequestId", [](Request& r) { r.set_request_id(std::string(128, 'x')); }, ""},
      {"LongRequestId", [](Request& r) { r.set_request_id(std::string(129, 'x')); }, "request_id"},
      {"RequestIdUtf8", [=](Request& r) { r.set_request_id(bad); }, "request_id"},
      {"PromptUtf8", [=](Request& r) { r.set_prompt(bad); }, "prompt"},
      {"PromptNul", [](Request& r) { r.set_prompt(std::string("a\0b", 3)); }, "prompt"},
      {"Prompt2Empty", [](Request& r) { r.set_prompt_2(""); }, ""},
      {"Prompt2Utf8", [=](Request& r) { r.set_prompt_2(bad); }, "prompt_2"},
      {"NegativePromptUtf8", [=](Request& r) { r.set_negative_prompt(bad); }, "negative_prompt"},
      {"NegativePrompt2Utf8", [=](Request& r) { r.set_negative_prompt_2(bad); },
       "negative_prompt_2"},
      {"TrueCfgZero", [](Request& r) { r.set_true_cfg_scale(0); }, ""},
      {"TrueCfgHundred", [](Request& r) { r.set_true_cfg_scale(100); }, ""},
      {"TrueCfgNegative", [](Request& r) { r.set_true_cfg_scale(-0.01); }, "true_cfg_scale"},
      {"TrueCfgLarge", [](Request& r) { r.set_true_cfg_scale(100.01); }, "true_cfg_scale"},
      {"TrueCfgNan", [](Request& r) { r.set_true_cfg_scale(kNan); }, "true_cfg_scale"},
      {"TrueCfgInfinite", [](Request& r) { r.set_true_cfg_scale(kInfinity); }, "true_cfg_scale"},
      {"GuidanceZero", [](Request& r) { r.set_guidance_scale(0); }, ""},
      {"GuidanceHundred", [](Request& r) { r.set_guidance_scale(100); }, ""},
      {"GuidanceNegative", [](Request& r) { r.set_guidance_scale(-1); }, "guidance_scale"},
      {"GuidanceLarge", [](Request& r) { r.set_guidance_scale(101); }, "guidance_scale"},
      {"GuidanceNan", [](Request& r) { r.set_guidance_scale(kNan); }, "guidance_scale"},
      {"GuidanceInfinite", [](Request& r) { r.set_guidance_scale(-kInfinity); }, "guidance_scale"},
      {"StepsOne", [](Request& r) { r.set_num_inference_steps(1); }, ""},
      {"StepsLimit", [](Request& r) { r.set_num_inference_steps(100); }, ""},
      {"StepsZero", [](Request& r) { r.set_num_inference_steps(0); }, "num_inference_steps", true},
      {"StepsLarge", [](Request& r) { r.set_num_inference_steps(101); }, "num_inference_steps",
       true},
      {"ImagesLimit", [](Request& r) { r.set_num_images(4); }, ""},
      {"ImagesZero", [](Request& r) { r.set_num_images(0); }, "num_images", true},
      {"ImagesLarge", [](Request& r) { r.set_num_images(5); }, "num_images", true},
      {"ImagesNegative", [](Request& r) { r.set_num_images(-2147483648); }, "num_images", true},
      {"SequenceOne", [](Request& r) { r.set_max_sequence_length(1); }, ""},
      {"SequenceZero", [](Request& r) { r.set_max_sequence_length(0); }, "max_sequence_length",
       true},
      {"SequenceLarge", [](Request& r) { r.set_max_sequence_length(513); }, "max_sequence_length",
       true},
      {"WidthSmallest", [](Request& r) { r.set_width(32); }, ""},
      {"WidthLargest", [](Request& r) { r.set_width(2048); }, ""},
      {"WidthSmall", [](Request& r) { r.set_width(16); }, "width", true},
      {"WidthLarge", [](Request& r) { r.set_width(2064); }, "width", true},
      {"WidthMultiple", [](Request& r) { r.set_width(250); }, "width", true},
      {"WidthZero", [](Request& r) { r.set_width(0); }, "width", true},
      {"WidthNegative", [](Request& r) { r.set_width(-64); }, "width", true},
      {"HeightMultiple", [](Request& r) { r.set_height(65); }, "height", true},
      {"HeightLarge", [](Request& r) { r.set_height(1 << 30); }, "height", true},
      {"MostPixels",
       [](Request& r) {
         r.set_width(2048);
         r.set_height(512);
       },
       ""},
      {"TooManyPixels",
       [](Request& r) {
         r.set_width(2048);
         r.set_height(528);
       },
       "width", true},
      {"SyncStepsLimit", [](Request& r) { r.set_sync_steps(1000); }, ""},
      {"SyncStepsZero", [](Request& r) { r.set_sync_steps(0); }, "sync_steps"},
      {"SyncStepsLarge", [](Request& r) { r.set_sync_steps(1001); }, "sync_steps"},
      {"RefreshZero", [](Request& r) { r.set_refresh_every(0); }, ""},
      {"RefreshNegative", [](Request& r) { r.set_refresh_every(-1); }, "refresh_every"},
      {"RefreshLarge", [](Request& r) { r.set_refresh_every(1001); }, "refresh_every"},
      {"TextMode", [](Request& r) { r.set_text_mode(v1::TEXT_MODE_REPLICATED); }, ""},
      {"TextModeUnknown", [](Request& r) { r.set_text_mode(static_cast<v1::TextMode>(7)); },
       "text_mode"},
      {"SeedLargest", [](Request& r) { r.set_seed(~uint64_t{0}); }, ""},
  };
}

class ValidationTest : public ::testing::TestWithParam<Case> {};

TEST_P(ValidationTest, FindsExactlyThisViolation) {
  Request request;
  GetParam().set(request);
  const ModelInfo model = Model();
  const std::vector<std::string> with_model = FieldsOf(ValidateRequest(request, &model));
  const std::vector<std::string> without_model = FieldsOf(ValidateRequest(request, nullptr));
  if (GetParam().field.empty()) {
    EXPECT_THAT(with_model, IsEmpty());
    EXPECT_THAT(without_model, IsEmpty());
    return;
  }
  EXPECT_THAT(with_model, ElementsAre(GetParam().field));
  if (GetParam().needs_model) {
    EXPECT_THAT(without_model, IsEmpty());
  } else {
    EXPECT_THAT(without_model, ElementsAre(GetParam().field));
  }
}

INSTANTIATE_TEST_SUITE_P(Fields, ValidationTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

TEST(ValidateRequestTest, ListsEveryViolationAtOnce) {
  Request request;
  request.set_num_inference_steps(0);
  request.set_guidance_scale(kNan);
  request.set_num_images(9);
  request.set_width(100);
  request.set_sync_steps(0);
  const ModelInfo model = Model();
  EXPECT_THAT(FieldsOf(ValidateRequest(request, &model)),
              ::testing::UnorderedElementsAre("num_inference_steps", "guidance_scale", "num_images",
                                              "width", "sync_steps"));
}

TEST(ValidateRequestTest, SaysWhatWasExpectedAndWhatCame) {
  Request request;
  request.set_width(100);
  const ModelInfo model = Model();
  const auto violations = ValidateRequest(request, &model);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_THAT(violations[0].description, HasSubstr("multiple of 16 in [32, 2048], is 100"));
}

TEST(ValidateRequestTest, CountsPixelsWithTheModelsDefaultSide) {
  ModelInfo model = Model();
  model.limits.max_pixels = 2048 * 64;
  Request request;
  request.set_width(2048);  // the default height is 128
  EXPECT_THAT(FieldsOf(ValidateRequest(request, &model)), ElementsAre("width"));
}

TEST(FillDefaultsTest, FillsWhatIsAbsentFromModelAndServer) {
  Request request;
  request.set_prompt("a cat");
  const RequestDefaults defaults = {
      .sync_steps = 2, .refresh_every = 5, .text_mode = v1::TEXT_MODE_REPLICATED};
  const Request filled = FillDefaults(request, Model(), defaults, 77);
  EXPECT_EQ(filled.prompt(), "a cat");
  EXPECT_EQ(filled.true_cfg_scale(), 1);
  EXPECT_EQ(filled.num_inference_steps(), 28);
  EXPECT_EQ(filled.guidance_scale(), 3.5);
  EXPECT_EQ(filled.num_images(), 1);
  EXPECT_EQ(filled.max_sequence_length(), 512);
  EXPECT_EQ(filled.width(), 256);
  EXPECT_EQ(filled.height(), 128);
  EXPECT_EQ(filled.seed(), 77u);
  EXPECT_EQ(filled.sync_steps(), 2);
  EXPECT_EQ(filled.refresh_every(), 5);
  EXPECT_EQ(filled.text_mode(), v1::TEXT_MODE_REPLICATED);
  EXPECT_FALSE(filled.has_prompt_2());
  EXPECT_FALSE(filled.has_negative_prompt());
  EXPECT_FALSE(filled.has_negative_prompt_2());
}

TEST(FillDefaultsTest, KeepsWhatIsGivenEvenWhenItIsZero) {
  Request request;
  request.set_guidance_scale(0);
  request.set_seed(0);
  request.set_refresh_every(0);
  request.set_text_mode(v1::TEXT_MODE_SPLIT);
  request.set_negative_prompt("");
  const RequestDefaults defaults = {
      .sync_steps = 2, .refresh_every = 5, .text_mode = v1::TEXT_MODE_REPLICATED};
  const Request filled = FillDefaults(request, Model(), defaults, 77);
  EXPECT_EQ(filled.guidance_scale(), 0);
  EXPECT_EQ(filled.seed(), 0u);
  EXPECT_EQ(filled.refresh_every(), 0);
  EXPECT_EQ(filled.text_mode(), v1::TEXT_MODE_SPLIT);
  EXPECT_TRUE(filled.has_negative_prompt());
}

}  // namespace
}  // namespace tessera
