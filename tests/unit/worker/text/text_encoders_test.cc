#include "worker/text/text_encoders.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/model/checkpoint_folder.h"
#include "tests/support/golden.h"

namespace tessera {
namespace {

using testing::CheckpointCopy;
using ::testing::HasSubstr;

std::shared_ptr<const Checkpoint> Folder(const std::string& path) {
  return std::make_shared<const CheckpointFolder>(path);
}

class TextEncodersTest : public ::testing::Test {
 protected:
  static TextEncoders Tiny() {
    absl::StatusOr<TextEncoders> encoders = TextEncoders::Load(Folder(testing::TinyFluxDir()), {});
    EXPECT_TRUE(encoders.ok()) << encoders.status();
    return *std::move(encoders);
  }

  static PromptEmbedding Encode(TextEncoders& encoders, const std::string& prompt,
                                const std::optional<std::string>& prompt_2, int length) {
    absl::StatusOr<PromptEmbedding> embedding = encoders.Encode(prompt, prompt_2, length);
    EXPECT_TRUE(embedding.ok()) << embedding.status();
    return *std::move(embedding);
  }

  static void ExpectInvalid(const absl::Status& status, const std::string& text) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }

  const c10::InferenceMode inference_;
};

TEST_F(TextEncodersTest, ShapesFollowTheConfigs) {
  TextEncoders encoders = Tiny();
  EXPECT_EQ(encoders.joint_attention_dim(), 48);
  EXPECT_EQ(encoders.pooled_projection_dim(), 32);
  const PromptEmbedding embedding = Encode(encoders, "a red boat", std::nullopt, 20);
  EXPECT_EQ(embedding.text.sizes(), (std::vector<int64_t>{1, 20, 48}));
  EXPECT_EQ(embedding.pooled.sizes(), (std::vector<int64_t>{1, 32}));
}

TEST_F(TextEncodersTest, ShortPromptsAreNotCut) {
  TextEncoders encoders = Tiny();
  const PromptEmbedding embedding = Encode(encoders, "", std::nullopt, 20);
  EXPECT_EQ(embedding.clip_tokens, 2);
  EXPECT_EQ(embedding.t5_tokens, 1);
  EXPECT_FALSE(embedding.clip_truncated);
  EXPECT_FALSE(embedding.t5_truncated);
}

TEST_F(TextEncodersTest, LongPromptsSayWhereTheyWereCut) {
  TextEncoders encoders = Tiny();
  const PromptEmbedding longer = Encode(encoders, testing::Prompts()[9], std::nullopt, 50);
  EXPECT_TRUE(longer.clip_truncated);
  EXPECT_TRUE(longer.t5_truncated);
  EXPECT_GT(longer.clip_tokens, 77);
  const PromptEmbedding t5_only = Encode(encoders, "ok", testing::Prompts()[9], 50);
  EXPECT_FALSE(t5_only.clip_truncated);
  EXPECT_TRUE(t5_only.t5_truncated);
  EXPECT_EQ(t5_only.t5_tokens, longer.t5_tokens);
  const int exact = Encode(encoders, "ok", std::nullopt, 50).t5_tokens;
  EXPECT_FALSE(Encode(encoders, "ok", std::nullopt, exact).t5_truncated);
  EXPECT_TRUE(Encode(encoders, "ok", std::nullopt, exact - 1).t5_truncated);
}

TEST_F(TextEncodersTest, AnEmptySecondPromptIsTheFirst) {
  TextEncoders encoders = Tiny();
  const at::Tensor alone = Encode(encoders, "a red boat", std::nullopt, 20).text;
  EXPECT_TRUE(at::equal(Encode(encoders, "a red boat", "", 20).text, alone));
  const PromptEmbedding both = Encode(encoders, "a red boat", "two cats", 20);
  EXPECT_TRUE(at::equal(both.pooled, Encode(encoders, "a red boat", "", 20).pooled));
  EXPECT_TRUE(at::equal(both.text, Encode(encoders, "two cats", "", 20).text));
  EXPECT_FALSE(at::allclose(both.text, alone));
}

TEST_F(TextEncodersTest, APromptIsEncodedOnce) {
  TextEncoders encoders = Tiny();
  const PromptEmbedding first = Encode(encoders, "a red boat", std::nullopt, 20);
  EXPECT_TRUE(Encode(encoders, "a red boat", "", 20).text.is_same(first.text));
  EXPECT_TRUE(Encode(encoders, "a red boat", "a red boat", 20).pooled.is_same(first.pooled));
  EXPECT_FALSE(Encode(encoders, "a red boat", std::nullopt, 21).text.is_same(first.text));
}

TEST_F(TextEncodersTest, WeightsOnDemandGiveTheSameEmbedding) {
  TextEncoders lazy =
      TextEncoders::Load(Folder(testing::TinyFluxDir()), {}, EncoderLoading::kOnDemand).value();
  EXPECT_FALSE(lazy.loaded());
  TextEncoders encoders = Tiny();
  const PromptEmbedding expected = Encode(encoders, "a red boat", "a", 20);
  const PromptEmbedding counts = lazy.Count("a red boat", "a", 20).value();
  EXPECT_FALSE(lazy.loaded());
  EXPECT_EQ(counts.clip_tokens, expected.clip_tokens);
  EXPECT_EQ(counts.t5_tokens, expected.t5_tokens);
  const PromptEmbedding embedding = Encode(lazy, "a red boat", "a", 20);
  EXPECT_TRUE(lazy.loaded());
  EXPECT_TRUE(at::equal(embedding.text, expected.text));
  EXPECT_TRUE(at::equal(embedding.pooled, expected.pooled));
}

TEST_F(TextEncodersTest, ReleasedWeightsComeBackForANewPrompt) {
  TextEncoders encoders = Tiny();
  const at::Tensor first = Encode(encoders, "a red boat", std::nullopt, 20).text;
  const at::Tensor second = Encode(encoders, "a blue boat", std::nullopt, 20).text;
  encoders.Release();
  EXPECT_TRUE(Encode(encoders, "a red boat", std::nullopt, 20).text.is_same(first));
  EXPECT_FALSE(encoders.loaded());  // the cache had it
  EXPECT_FALSE(at::equal(Encode(encoders, "a sea", std::nullopt, 20).text, second));
  EXPECT_TRUE(encoders.loaded());
}

TEST_F(TextEncodersTest, WeightsOnDemandAreCheckedAtOnce) {
  const CheckpointCopy copy;
  copy.RemoveTensors("text_encoder_2", "encoder.final_layer_norm.");
  ExpectInvalid(TextEncoders::Load(Folder(copy.dir()), {}, EncoderLoading::kOnDemand).status(),
                "missing tensor 'encoder.final_layer_norm.weight'");
}

TEST_F(TextEncodersTest, PromptsThatRunTogetherAreKeptApart) {
  TextEncoders encoders = Tiny();
  const at::Tensor first = Encode(encoders, "ab", "c", 20).text;
  EXPECT_FALSE(at::allclose(Encode(encoders, "a", "bc", 20).text, first));
}

TEST_F(TextEncodersTest, InvalidPromptsAreNamed) {
  TextEncoders encoders = Tiny();
  ExpectInvalid(encoders.Encode("\xFF", std::nullopt, 20).status(), "prompt: not valid UTF-8");
  ExpectInvalid(encoders.Encode("a", "b\xFF", 20).status(), "prompt_2: not valid UTF-8 at byte 1");
  ExpectInvalid(encoders.Encode("a", std::nullopt, 0).status(), "length");
}

TEST_F(TextEncodersTest, IdsOutsideTheEmbeddingAreRefused) {
  const CheckpointCopy checkpoint;
  checkpoint.EditJson("tokenizer/tokenizer_config.json", R"({"added_tokens_decoder": {
      "692": {"content": "<|startoftext|>"}, "693": {"content": "<|endoftext|>"},
      "694": {"content": "<new>"}}})");
  checkpoint.EditJson("tokenizer_2/tokenizer_config.json", R"({"added_tokens_decoder": {
      "700": {"content": "<far>"}}})");
  absl::StatusOr<TextEncoders> encoders = TextEncoders::Load(Folder(checkpoint.dir()), {});
  ASSERT_TRUE(encoders.ok()) << encoders.status();
  ExpectInvalid(encoders->Encode("a <new> boat", std::nullopt, 20).status(),
                "prompt: token id 694 is outside the 694 embedding rows of text_encoder");
  ExpectInvalid(encoders->Encode("a", "a <far> boat", 20).status(),
                "prompt_2: token id 700 is outside the 528 embedding rows of text_encoder_2");
  EXPECT_TRUE(encoders->Encode("a <far> boat", "a", 20).ok());
}

TEST_F(TextEncodersTest, ControlTokensOutsideTheEmbeddingFailAtLoading) {
  const CheckpointCopy checkpoint;
  checkpoint.EditJson("tokenizer/tokenizer_config.json",
                      R"({"eos_token": "<new>", "added_tokens_decoder": {}})");
  ExpectInvalid(TextEncoders::Load(Folder(checkpoint.dir()), {}).status(), "token id 694");
}

TEST_F(TextEncodersTest, ALengthBeyondThePositionsFailsAtLoading) {
  const CheckpointCopy checkpoint;
  checkpoint.EditJson("tokenizer/tokenizer_config.json", R"({"model_max_length": 78})");
  ExpectInvalid(TextEncoders::Load(Folder(checkpoint.dir()), {}).status(), "model_max_length");
}

TEST_F(TextEncodersTest, WithoutALengthEveryPositionIsUsed) {
  const CheckpointCopy checkpoint;
  checkpoint.EditJson("tokenizer/tokenizer_config.json", R"({"model_max_length": null})");
  absl::StatusOr<TextEncoders> encoders = TextEncoders::Load(Folder(checkpoint.dir()), {});
  ASSERT_TRUE(encoders.ok()) << encoders.status();
  EXPECT_TRUE(at::equal(encoders->Encode("a red boat", std::nullopt, 20)->pooled,
                        Tiny().Encode("a red boat", std::nullopt, 20)->pooled));
}

TEST_F(TextEncodersTest, MissingPartsAreNotFound) {
  const testing::TempDir dir;
  EXPECT_EQ(TextEncoders::Load(Folder(dir.path()), {}).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace tessera
