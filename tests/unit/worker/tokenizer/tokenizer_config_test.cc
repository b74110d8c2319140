#include "worker/tokenizer/tokenizer_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/model/checkpoint_folder.h"
#include "tests/support/temp_dir.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TokenizerConfigTest : public ::testing::Test {
 protected:
  void Write(const std::string& file, const std::string& text) {
    dir_.Write("tokenizer/" + file, text);
  }

  TokenizerConfig Read() {
    absl::StatusOr<TokenizerConfig> config =
        ReadTokenizerConfig(CheckpointFolder(dir_.path()), Part::kTokenizer);
    EXPECT_TRUE(config.ok()) << config.status();
    return *std::move(config);
  }

  std::string ErrorOf(const std::string& file, const std::string& text) {
    Write(file, text);
    const absl::Status status =
        ReadTokenizerConfig(CheckpointFolder(dir_.path()), Part::kTokenizer).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(file));
    return std::string(status.message());
  }

  static std::vector<std::string> Contents(const ControlTokens& control) {
    std::vector<std::string> contents;
    for (const AddedToken& token : control.tokens()) contents.push_back(token.content);
    return contents;
  }

  testing::TempDir dir_;
};

TEST_F(TokenizerConfigTest, EveryFileMayBeMissing) {
  const TokenizerConfig config = Read();
  EXPECT_THAT(config.control.tokens(), IsEmpty());
  EXPECT_FALSE(config.extra_ids.has_value());
  EXPECT_FALSE(config.model_max_length.has_value());
}

TEST_F(TokenizerConfigTest, TheDecoderGivesIdsAndFlagsAndOutranksTheMap) {
  Write("tokenizer_config.json", R"({
      "added_tokens_decoder": {
        "12": {"content": "<b>", "lstrip": true},
        "9": {"content": "<a>", "normalized": true, "rstrip": true}},
      "eos_token": "<a>", "pad_token": "<p>", "model_max_length": 77, "extra_ids": 3})");
  Write("special_tokens_map.json", R"({"eos_token": "<b>", "mask_token": "<m>"})");
  TokenizerConfig config = Read();
  ControlTokens& control = config.control;
  EXPECT_THAT(
      control.tokens(),
      ElementsAre(AllOf(Field(&AddedToken::content, "<a>"), Field(&AddedToken::id, 9),
                        Field(&AddedToken::normalized, true), Field(&AddedToken::lstrip, false),
                        Field(&AddedToken::rstrip, true)),
                  AllOf(Field(&AddedToken::content, "<b>"), Field(&AddedToken::id, 12),
                        Field(&AddedToken::lstrip, true)),
                  Field(&AddedToken::content, "<p>")));
  EXPECT_EQ(config.model_max_length, 77);
  EXPECT_EQ(config.extra_ids, 3);
  control.AssignIds([](const std::string&) { return std::nullopt; }, 5);
  EXPECT_EQ(control.IdOf("eos_token"), 9);
  EXPECT_EQ(control.IdOf("pad_token"), 13);  // behind the largest
}

TEST_F(TokenizerConfigTest, WithoutADecoderTheMapOutranksTheConfig) {
  Write("tokenizer_config.json", R"({"bos_token": "<x>", "eos_token": "<e>"})");
  Write("special_tokens_map.json",
        R"({"bos_token": {"content": "<s>", "normalized": true},
                 "additional_special_tokens": ["<t0>", {"content": "<t1>"}]})");
  Write("tokenizer.json", R"({"added_tokens": [{"content": "<e>", "id": 4, "rstrip": true}]})");
  TokenizerConfig config = Read();
  ControlTokens& control = config.control;
  EXPECT_THAT(Contents(control), ElementsAre("<e>", "<s>", "<t0>", "<t1>"));
  EXPECT_TRUE(control.tokens()[0].rstrip);
  EXPECT_TRUE(control.tokens()[1].normalized);
  control.AssignIds(
      [](const std::string& token) -> std::optional<int> {
        if (token == "<t1>") return 2;
        return std::nullopt;
      },
      4);
  EXPECT_EQ(control.IdOf("eos_token"), 4);
  EXPECT_EQ(control.IdOf("bos_token"), 5);
  EXPECT_EQ(control.tokens()[2].id, 6);
  EXPECT_EQ(control.tokens()[3].id, 2);
}

TEST_F(TokenizerConfigTest, DefaultsFillOnlyWhatIsNotNamed) {
  Write("tokenizer_config.json", R"({"eos_token": "<e>", "pad_token": null})");
  TokenizerConfig config = Read();
  ControlTokens& control = config.control;
  control.SetDefault("eos_token", "<other>");
  control.SetDefault("pad_token", "<e>");
  control.AssignIds([](const std::string&) { return std::nullopt; }, 0);
  EXPECT_THAT(Contents(control), ElementsAre("<e>"));
  EXPECT_EQ(control.IdOf("pad_token"), control.IdOf("eos_token"));
}

TEST_F(TokenizerConfigTest, NoLimitIsNoLength) {
  Write("tokenizer_config.json", R"({"model_max_length": 1000000000000000019884624838656})");
  EXPECT_FALSE(Read().model_max_length.has_value());
}

TEST_F(TokenizerConfigTest, MalformedFieldsAreNamed) {
  const std::string config = "tokenizer_config.json";
  EXPECT_THAT(ErrorOf(config, "{"), HasSubstr("JSON"));
  EXPECT_THAT(ErrorOf(config, "[1]"), HasSubstr("object"));
  EXPECT_THAT(ErrorOf(config, R"({"eos_token": 3})"), HasSubstr("eos_token"));
  EXPECT_THAT(ErrorOf(config, R"({"eos_token": ""})"), HasSubstr("eos_token"));
  EXPECT_THAT(ErrorOf(config, R"({"eos_token": {"content": "<e>", "lstrip": 1}})"),
              HasSubstr("lstrip"));
  EXPECT_THAT(ErrorOf(config, R"({"eos_token": {"content": "<e>", "single_word": true}})"),
              HasSubstr("single_word"));
  EXPECT_THAT(ErrorOf(config, R"({"added_tokens_decoder": [1]})"),
              HasSubstr("added_tokens_decoder"));
  for (const char* id : {"x", "1x", "-1", "", "99999999999", "2147483647"}) {
    EXPECT_THAT(ErrorOf(config, std::string(R"({"added_tokens_decoder": {")") + id +
                                    R"(": {"content": "<e>"}}})"),
                HasSubstr("token id"));
  }
  EXPECT_THAT(ErrorOf(config, R"({"model_max_length": "x"})"), HasSubstr("model_max_length"));
  EXPECT_THAT(ErrorOf(config, R"({"model_max_length": 0})"), HasSubstr("model_max_length"));
  EXPECT_THAT(ErrorOf(config, R"({"extra_ids": -1})"), HasSubstr("extra_ids"));
  EXPECT_THAT(ErrorOf(config, R"({"extra_special_tokens": 1})"), HasSubstr("extra_special_tokens"));
  Write(config, "{}");
  EXPECT_THAT(ErrorOf("tokenizer.json", R"({"added_tokens": [{"content": "<e>"}]})"),
              HasSubstr("added_tokens.0.id"));
  Write("tokenizer.json", "{}");
  EXPECT_THAT(ErrorOf("special_tokens_map.json", R"({"additional_special_tokens": [[]]})"),
              HasSubstr("additional_special_tokens.0"));
}

}  // namespace
}  // namespace tessera
