#include "worker/text/text_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/model/checkpoint_folder.h"
#include "tests/support/golden.h"

namespace tessera {
namespace {

using testing::CheckpointCopy;
using ::testing::HasSubstr;
using testing::TempDir;

TEST(TextConfigTest, ReadsEverySizeOfClip) {
  const auto config = ReadClipTextConfig(CheckpointFolder(testing::TinyFluxDir()));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->vocab_size, 694);
  EXPECT_EQ(config->max_position_embeddings, 77);
  EXPECT_EQ(config->hidden_size, 32);
  EXPECT_EQ(config->intermediate_size, 64);
  EXPECT_EQ(config->num_hidden_layers, 2);
  EXPECT_EQ(config->num_attention_heads, 4);
  EXPECT_EQ(config->hidden_act, ClipActivation::kQuickGelu);
  EXPECT_EQ(config->layer_norm_eps, 1e-5);
  EXPECT_EQ(config->eos_token_id, 2);
}

TEST(TextConfigTest, ReadsEverySizeOfT5) {
  const auto config = ReadT5Config(CheckpointFolder(testing::TinyFluxDir()));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->vocab_size, 528);
  EXPECT_EQ(config->d_model, 48);
  EXPECT_EQ(config->d_kv, 8);
  EXPECT_EQ(config->d_ff, 80);
  EXPECT_EQ(config->num_layers, 2);
  EXPECT_EQ(config->num_heads, 4);
  EXPECT_EQ(config->inner_dim(), 32);
  EXPECT_EQ(config->relative_attention_num_buckets, 32);
  EXPECT_EQ(config->relative_attention_max_distance, 128);
  EXPECT_EQ(config->layer_norm_epsilon, 1e-6);
}

TEST(TextConfigTest, ClipWithGelu) {
  const CheckpointCopy checkpoint;
  checkpoint.EditJson("text_encoder/config.json", R"({"hidden_act": "gelu"})");
  EXPECT_EQ(ReadClipTextConfig(CheckpointFolder(checkpoint.dir()))->hidden_act,
            ClipActivation::kGelu);
}

TEST(TextConfigTest, MissingFileIsNotFound) {
  const TempDir dir;
  EXPECT_EQ(ReadClipTextConfig(CheckpointFolder(dir.path())).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadT5Config(CheckpointFolder(dir.path())).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(TextConfigTest, EveryProblemIsListedAtOnce) {
  const TempDir dir;
  dir.Write("text_encoder/config.json", "{}");
  dir.Write("text_encoder_2/config.json", "{}");
  const std::string clip(ReadClipTextConfig(CheckpointFolder(dir.path())).status().message());
  for (const char* field : {"vocab_size", "max_position_embeddings", "hidden_size",
                            "intermediate_size", "num_hidden_layers", "num_attention_heads"}) {
    EXPECT_THAT(clip, HasSubstr(field));
  }
  const std::string t5(ReadT5Config(CheckpointFolder(dir.path())).status().message());
  for (const char* field :
       {"vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads", "feed_forward_proj"}) {
    EXPECT_THAT(t5, HasSubstr(field));
  }
}

struct BadField {
  const char* fields;
  const char* error;
};

class BadClipConfigTest : public ::testing::TestWithParam<BadField> {};

TEST_P(BadClipConfigTest, IsNamed) {
  const CheckpointCopy checkpoint;
  checkpoint.EditJson("text_encoder/config.json", GetParam().fields);
  const absl::Status status = ReadClipTextConfig(CheckpointFolder(checkpoint.dir())).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("text_encoder/config.json"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadClipConfigTest,
    ::testing::Values(BadField{R"({"hidden_size": 30})", "no multiple of the 4 attention heads"},
                      BadField{R"({"num_attention_heads": 0})", "num_attention_heads"},
                      BadField{R"({"num_hidden_layers": 1e9})", "num_hidden_layers"},
                      BadField{R"({"vocab_size": -1})", "vocab_size"},
                      BadField{R"({"hidden_act": "relu"})", "quick_gelu"},
                      BadField{R"({"layer_norm_eps": 0})", "layer_norm_eps"},
                      BadField{R"({"eos_token_id": [2, 3]})", "eos_token_id"}));

class BadT5ConfigTest : public ::testing::TestWithParam<BadField> {};

TEST_P(BadT5ConfigTest, IsNamed) {
  const CheckpointCopy checkpoint;
  checkpoint.EditJson("text_encoder_2/config.json", GetParam().fields);
  const absl::Status status = ReadT5Config(CheckpointFolder(checkpoint.dir())).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("text_encoder_2/config.json"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadT5ConfigTest,
    ::testing::Values(BadField{R"({"feed_forward_proj": "relu"})", "feed_forward_proj"},
                      BadField{R"({"d_kv": 0})", "d_kv"},
                      BadField{R"({"relative_attention_num_buckets": 3})", "num_buckets"},
                      BadField{R"({"relative_attention_max_distance": 8})", "max_distance"},
                      BadField{R"({"layer_norm_epsilon": -1})", "layer_norm_epsilon"}));

}  // namespace
}  // namespace tessera
