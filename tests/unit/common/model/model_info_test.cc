#include "common/model/model_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/unit/common/model/checkpoint_configs.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using testing::CheckpointConfigs;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kTinyFlux = std::string(TESSERA_REFERENCE_DIR) + "/tiny-flux";

std::string Message(const std::string& dir) {
  return std::string(ReadModelInfo(dir).status().message());
}

TEST(ModelInfoTest, ReadsTinyFluxAsADevModel) {
  const auto info = ReadModelInfo(kTinyFlux);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->name, "tiny-flux");
  EXPECT_TRUE(info->guidance_embeds);
  EXPECT_EQ(info->fingerprint.size(), 16);
  EXPECT_EQ(info->defaults.width, 1024);
  EXPECT_EQ(info->defaults.num_inference_steps, 28);
  EXPECT_EQ(info->defaults.guidance_scale, 3.5);
  EXPECT_EQ(info->defaults.max_sequence_length, 512);
  EXPECT_EQ(info->limits.size_multiple, 16);
  EXPECT_EQ(info->limits.min_size, 16);
}

TEST(ModelInfoTest, GivesASchnellModelItsOwnDefaults) {
  const CheckpointConfigs schnell;
  const auto info = ReadModelInfo(schnell.dir() + "/");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->name, std::filesystem::path(schnell.dir()).filename());
  EXPECT_FALSE(info->guidance_embeds);
  EXPECT_EQ(info->defaults.num_inference_steps, 4);
  EXPECT_EQ(info->defaults.guidance_scale, 0);
  EXPECT_EQ(info->defaults.max_sequence_length, 256);
  EXPECT_EQ(info->limits.max_sequence_length, 512);
}

TEST(ModelInfoTest, TakesAnAbsentGuidanceFlagAsFalse) {
  const CheckpointConfigs configs;
  configs.Write("transformer/config.json", "{}");
  EXPECT_FALSE(ReadModelInfo(configs.dir())->guidance_embeds);
}

TEST(ModelInfoTest, TakesTheSizeMultipleFromTheLevelsOfTheVae) {
  const CheckpointConfigs configs;
  configs.Write("vae/config.json", R"({"block_out_channels": [8, 16, 32, 32, 32]})");
  EXPECT_EQ(ReadModelInfo(configs.dir())->limits.size_multiple, 32);
  EXPECT_EQ(ReadModelInfo(configs.dir())->limits.min_size, 32);
  configs.Write("vae/config.json", R"({"block_out_channels": [8]})");
  EXPECT_EQ(ReadModelInfo(configs.dir())->limits.size_multiple, 2);
}

TEST(ModelInfoTest, NamesTheMissingFile) {
  for (const char* file : {"model_index.json", "transformer/config.json", "vae/config.json",
                           "vae/diffusion_pytorch_model.safetensors"}) {
    const CheckpointConfigs configs;
    std::filesystem::remove(configs.dir() + "/" + file);
    EXPECT_EQ(ReadModelInfo(configs.dir()).status().code(), absl::StatusCode::kNotFound) << file;
    const std::string name = std::filesystem::path(file).filename().string();
    EXPECT_THAT(Message(configs.dir()), AllOf(HasSubstr(configs.dir()), HasSubstr(name)));
  }
}

TEST(ModelInfoTest, NamesAllThatIsWrongInTheModelIndex) {
  const CheckpointConfigs configs;
  configs.Write("model_index.json", R"({"_class_name": "StableDiffusionPipeline",
      "scheduler": ["diffusers", "FlowMatchHeunDiscreteScheduler"],
      "text_encoder": ["transformers", "CLIPTextModel"],
      "text_encoder_2": [null, null],
      "tokenizer": ["transformers", "CLIPTokenizer"],
      "transformer": 7,
      "vae": ["diffusers", "AutoencoderKL", "more"]})");
  EXPECT_EQ(ReadModelInfo(configs.dir()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(configs.dir()),
              AllOf(HasSubstr("_class_name: expected \"FluxPipeline\""),
                    HasSubstr("'StableDiffusionPipeline'"), HasSubstr("scheduler: expected"),
                    HasSubstr("text_encoder_2: expected"), HasSubstr("tokenizer_2: expected"),
                    HasSubstr("transformer: expected"), HasSubstr("vae: expected"),
                    Not(HasSubstr("text_encoder: ")), Not(HasSubstr("tokenizer: "))));
}

struct BadConfig {
  std::string name;
  std::string file;
  std::string bytes;
  std::string message;
};

void PrintTo(const BadConfig& config, std::ostream* out) { *out << config.name; }

class BadConfigTest : public ::testing::TestWithParam<BadConfig> {};

TEST_P(BadConfigTest, IsNamedWithItsFile) {
  const CheckpointConfigs configs;
  configs.Write(GetParam().file, GetParam().bytes);
  EXPECT_EQ(ReadModelInfo(configs.dir()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(configs.dir()), AllOf(HasSubstr(configs.dir() + "/" + GetParam().file),
                                            HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadConfigTest,
    ::testing::Values(
        BadConfig{"IndexIsNotJson", "model_index.json", "{", "invalid JSON"},
        BadConfig{"IndexIsAnArray", "model_index.json", "[]", "expected a JSON object"},
        BadConfig{"IndexIsNestedDeeply", "model_index.json",
                  std::string(1'000'000, '[') + std::string(1'000'000, ']'), "JSON object"},
        BadConfig{"IndexIsHuge", "model_index.json", std::string(5 << 20, ' ') + "{}", "limit"},
        BadConfig{"InvalidUtf8", "model_index.json", "{\"\xff\": 1}", "invalid JSON"},
        BadConfig{"GuidanceIsAString", "transformer/config.json", R"({"guidance_embeds": "yes"})",
                  "guidance_embeds"},
        BadConfig{"GuidanceIsNull", "transformer/config.json", R"({"guidance_embeds": null})",
                  "guidance_embeds"},
        BadConfig{"NoVaeLevels", "vae/config.json", "{}", "block_out_channels"},
        BadConfig{"ZeroVaeLevels", "vae/config.json", R"({"block_out_channels": []})",
                  "block_out_channels"},
        BadConfig{"VaeLevelsAreANumber", "vae/config.json", R"({"block_out_channels": 4})",
                  "block_out_channels"},
        BadConfig{"NineVaeLevels", "vae/config.json",
                  R"({"block_out_channels": [1,1,1,1,1,1,1,1,1]})", "block_out_channels"},
        BadConfig{"OverridesAreAnArray", "tessera.json", "[]", "expected a JSON object"}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(ModelOverridesTest, ReplaceEveryField) {
  const CheckpointConfigs configs;
  configs.Write("tessera.json", R"({"name": "mine",
      "defaults": {"width": 128, "height": 96, "num_inference_steps": 7, "guidance_scale": 2,
                   "max_sequence_length": 100},
      "limits": {"size_multiple": 32, "min_size": 64, "max_size": 256, "max_pixels": 65536,
                 "max_inference_steps": 50, "max_images": 3, "max_sequence_length": 300}})");
  const auto info = ReadModelInfo(configs.dir());
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->name, "mine");
  EXPECT_EQ(info->defaults.width, 128);
  EXPECT_EQ(info->defaults.height, 96);
  EXPECT_EQ(info->defaults.num_inference_steps, 7);
  EXPECT_EQ(info->defaults.guidance_scale, 2.0);
  EXPECT_EQ(info->defaults.max_sequence_length, 100);
  EXPECT_EQ(info->limits.size_multiple, 32);
  EXPECT_EQ(info->limits.min_size, 64);
  EXPECT_EQ(info->limits.max_size, 256);
  EXPECT_EQ(info->limits.max_pixels, 65536);
  EXPECT_EQ(info->limits.max_inference_steps, 50);
  EXPECT_EQ(info->limits.max_images, 3);
  EXPECT_EQ(info->limits.max_sequence_length, 300);
}

TEST(ModelOverridesTest, KeepWhatTheyDoNotName) {
  const CheckpointConfigs configs;
  configs.Write("tessera.json", R"({"defaults": {"width": 512}})");
  const auto info = ReadModelInfo(configs.dir());
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->defaults.width, 512);
  EXPECT_EQ(info->defaults.height, 1024);
  EXPECT_EQ(info->defaults.num_inference_steps, 4);
}

TEST(ModelOverridesTest, ReportEveryProblemAtOnce) {
  const CheckpointConfigs configs;
  configs.Write("tessera.json", R"({"name": "", "colour": "red",
      "defaults": {"width": 100, "height": "tall", "num_inference_steps": 0, "guidance_scale": -1,
                   "steps": 3},
      "limits": {"max_size": 18446744073709551615, "max_images": 2.5, "max_pixels": -4,
                 "max_sequence_length": 200}})");
  EXPECT_THAT(Message(configs.dir()),
              AllOf(HasSubstr("name: expected a string"), HasSubstr("unknown field 'colour'"),
                    HasSubstr("defaults.width 100: expected a multiple of 16"),
                    HasSubstr("defaults.height: expected an integer"),
                    HasSubstr("defaults.num_inference_steps: expected an integer"),
                    HasSubstr("defaults.guidance_scale: expected a number"),
                    HasSubstr("defaults: unknown field 'steps'"),
                    HasSubstr("limits.max_size: expected an integer"),
                    HasSubstr("limits.max_images: expected an integer"),
                    HasSubstr("limits.max_pixels: expected an integer"),
                    HasSubstr("defaults.max_sequence_length 256: above the limit of 200")));
}

struct BadOverride {
  std::string name;
  std::string json;
  std::string message;
};

void PrintTo(const BadOverride& bad, std::ostream* out) { *out << bad.name; }

class BadOverrideTest : public ::testing::TestWithParam<BadOverride> {};

TEST_P(BadOverrideTest, IsTheOnlyProblemNamed) {
  const CheckpointConfigs configs;
  configs.Write("tessera.json", GetParam().json);
  EXPECT_EQ(Message(configs.dir()), configs.dir() + "/tessera.json: " + GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadOverrideTest,
    ::testing::Values(
        BadOverride{"DefaultsAreAList", R"({"defaults": []})", "defaults: expected an object"},
        BadOverride{"DefaultAboveMaxSize",
                    R"({"defaults": {"height": 8192}, "limits": {"max_pixels": 99999999}})",
                    "defaults.height 8192: expected a multiple of 16 from 16 to 4096"},
        BadOverride{"DefaultBelowMinSize",
                    R"({"defaults": {"width": 64}, "limits": {"min_size": 128}})",
                    "defaults.width 64: expected a multiple of 16 from 128 to 4096"},
        BadOverride{"TooManyPixels", R"({"limits": {"max_pixels": 1000000}})",
                    "defaults.width x height: above the limit of 1000000 pixels"},
        BadOverride{
            "TooManySteps",
            R"({"defaults": {"num_inference_steps": 9}, "limits": {"max_inference_steps": 8}})",
            "defaults.num_inference_steps 9: above the limit of 8"},
        BadOverride{"MultipleOfAnotherVae", R"({"limits": {"size_multiple": 8}})",
                    "limits.size_multiple 8: expected a multiple of the model's own, 16"},
        BadOverride{"MoreTextThanTheModelTakes", R"({"limits": {"max_sequence_length": 513}})",
                    "limits.max_sequence_length: expected an integer from 1 to 512"}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace tessera
