#include "worker/vae/vae_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/model/checkpoint_folder.h"
#include "tests/unit/worker/vae/random_vae.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::RandomVae;
using testing::RandomVaeSize;

class VaeConfigTest : public ::testing::Test {
 protected:
  absl::StatusOr<VaeConfig> ReadWith(const std::string& fields) {
    vae_.Write(fields);
    return ReadVaeConfig(CheckpointFolder(vae_.dir()));
  }
  std::string ErrorWith(const std::string& fields) {
    const absl::Status status = ReadWith(fields).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  }

  RandomVae vae_{RandomVaeSize{}};
};

TEST_F(VaeConfigTest, TakesEverySizeFromTheFile) {
  const auto config = ReadWith("");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->block_out_channels, ElementsAre(6, 12, 24));
  EXPECT_EQ(config->layers_per_block, 1);
  EXPECT_EQ(config->latent_channels, 5);
  EXPECT_EQ(config->norm_num_groups, 3);
  EXPECT_EQ(config->scaling_factor, 0.7);
  EXPECT_EQ(config->shift_factor, 0.2);
  EXPECT_FALSE(config->use_post_quant_conv);
  EXPECT_TRUE(config->mid_block_add_attention);
  EXPECT_EQ(config->pixel_scale(), 4);
}

TEST_F(VaeConfigTest, SwitchesAreOnWhenAbsent) {
  const auto config = ReadWith(R"("use_post_quant_conv": null, "mid_block_add_attention": null)");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->use_post_quant_conv);
  EXPECT_TRUE(config->mid_block_add_attention);
}

TEST_F(VaeConfigTest, NamesFileAndEveryWrongField) {
  EXPECT_THAT(
      ErrorWith(R"("_class_name": "AutoencoderTiny", "act_fn": "relu", "layers_per_block": 0,
                   "latent_channels": 1.5, "out_channels": 4, "scaling_factor": 0,
                   "shift_factor": null, "use_post_quant_conv": 1)"),
      AllOf(HasSubstr("vae/config.json"), HasSubstr("_class_name: expected AutoencoderKL"),
            HasSubstr("act_fn: expected silu, found 'relu'"), HasSubstr("layers_per_block"),
            HasSubstr("latent_channels"), HasSubstr("out_channels"), HasSubstr("scaling_factor"),
            HasSubstr("shift_factor: expected a finite number, found nothing"),
            HasSubstr("use_post_quant_conv: expected true or false, found 1")));
}

TEST_F(VaeConfigTest, RejectsLevelsThatDoNotFit) {
  EXPECT_THAT(ErrorWith(R"("block_out_channels": [])"), HasSubstr("block_out_channels"));
  EXPECT_THAT(ErrorWith(R"("block_out_channels": [6, "x"])"), HasSubstr("block_out_channels"));
  EXPECT_THAT(ErrorWith(R"("block_out_channels": [3,3,3,3,3,3,3,3,3])"), HasSubstr("8 levels"));
  EXPECT_THAT(ErrorWith(R"("norm_num_groups": 4)"),
              HasSubstr("6 is not a multiple of norm_num_groups 4"));
}

TEST_F(VaeConfigTest, RejectsOtherBlocks) {
  EXPECT_TRUE(ReadWith(R"("up_block_types":
      ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"])")
                  .ok());
  EXPECT_THAT(ErrorWith(R"("up_block_types": ["UpDecoderBlock2D"])"), HasSubstr("up_block_types"));
  EXPECT_THAT(ErrorWith(R"("up_block_types":
      ["UpDecoderBlock2D", "AttnUpDecoderBlock2D", "UpDecoderBlock2D"])"),
              HasSubstr("up_block_types"));
}

TEST(VaeConfigFileTest, MissingFileIsNotFound) {
  EXPECT_EQ(ReadVaeConfig(CheckpointFolder(::testing::TempDir() + "/none")).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace tessera
