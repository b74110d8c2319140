#include "worker/tokenizer/t5_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/model/checkpoint_folder.h"
#include "tests/support/golden.h"

namespace tessera {
namespace {

using testing::CheckpointCopy;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempDir;

constexpr int64_t kPad = 0;
constexpr int64_t kEnd = 1;
constexpr int64_t kUnknown = 2;

T5Tokenizer LoadOrFail(const std::string& model_dir) {
  absl::StatusOr<T5Tokenizer> tokenizer = T5Tokenizer::Load(CheckpointFolder(model_dir));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

T5Tokenizer Tiny() { return LoadOrFail(testing::TinyFluxDir()); }

TEST(T5TokenizerTest, EmptyPromptIsEndAndPadding) {
  const auto tokens = Tiny().Encode("", 3);
  EXPECT_THAT(tokens->ids, ElementsAre(kEnd, kPad, kPad));
  EXPECT_EQ(tokens->tokens, 1);
  EXPECT_EQ(Tiny().Encode(" \t\u200B\u3000", 3)->ids, tokens->ids);
}

TEST(T5TokenizerTest, CountsTheTokensThatAreCut) {
  const T5Tokenizer tokenizer = Tiny();
  const auto whole = tokenizer.Encode("a small red boat drifts", 50);
  const auto cut = tokenizer.Encode("a small red boat drifts", 4);
  EXPECT_EQ(cut->tokens, whole->tokens);
  EXPECT_THAT(cut->ids, ElementsAre(whole->ids[0], whole->ids[1], whole->ids[2], kEnd));
  EXPECT_THAT(tokenizer.Encode("a small", 1)->ids, ElementsAre(kEnd));
}

TEST(T5TokenizerTest, ControlTokensAreCutOutFirst) {
  const auto tokens = Tiny().Encode("</s><pad><unk><extra_id_0><extra_id_99>", 6);
  EXPECT_THAT(tokens->ids, ElementsAre(kEnd, kPad, kUnknown, 519, 420, kEnd));
  EXPECT_EQ(tokens->tokens, 6);
}

TEST(T5TokenizerTest, WhiteSpaceOfEveryKindSeparates) {
  const T5Tokenizer tokenizer = Tiny();
  const auto expected = tokenizer.Encode("red boat", 10)->ids;
  for (const char* prompt : {" red  boat ", "red\tboat\n", "red\u00A0boat", "red\u0085boat",
                             "red\u2028\u3000boat", "red\u200Bboat", "red\u2581boat"}) {
    EXPECT_EQ(tokenizer.Encode(prompt, 10)->ids, expected) << prompt;
  }
}

TEST(T5TokenizerTest, SentinelsFollowThePiecesUnlessToldOtherwise) {
  const CheckpointCopy checkpoint;
  const std::string folder = checkpoint.dir() + "/tokenizer_2";
  std::filesystem::remove(folder + "/tokenizer_config.json");
  std::filesystem::remove(folder + "/special_tokens_map.json");
  std::filesystem::remove(folder + "/tokenizer.json");
  EXPECT_THAT(LoadOrFail(checkpoint.dir()).Encode("<extra_id_0><extra_id_99>", 3)->ids,
              ElementsAre(519, 420, kEnd));
  std::ofstream(folder + "/tokenizer_config.json") << R"({"extra_ids": 2})";
  EXPECT_THAT(LoadOrFail(checkpoint.dir()).Encode("<extra_id_0><extra_id_1>", 3)->ids,
              ElementsAre(421, 420, kEnd));
  EXPECT_GT(LoadOrFail(checkpoint.dir()).Encode("<extra_id_2>", 3)->tokens, 2);
}

TEST(T5TokenizerTest, InvalidUtf8IsRefused) {
  const absl::Status status = Tiny().Encode("\xC3(", 50).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("UTF-8 at byte 0"));
}

TEST(T5TokenizerTest, NoLengthIsRefused) {
  EXPECT_EQ(Tiny().Encode("a", 0).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(T5TokenizerTest, HugePromptsAreCounted) {
  const T5Tokenizer tokenizer = Tiny();
  constexpr int kRepeats = 200000;
  std::string controls;
  for (int i = 0; i < kRepeats; ++i) controls += "</s>";
  EXPECT_EQ(tokenizer.Encode(controls, 50)->tokens, kRepeats + 1);
  EXPECT_EQ(tokenizer.Encode(std::string(kRepeats, '<'), 50)->tokens, kRepeats + 2);
}

TEST(T5TokenizerTest, MissingFilesAreNotFound) {
  const TempDir dir;
  const absl::Status status = T5Tokenizer::Load(CheckpointFolder(dir.path())).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("spiece.model"));
}

TEST(T5TokenizerTest, BadSpieceModelIsNamed) {
  const TempDir dir;
  dir.Write("tokenizer_2/spiece.model", "\xFF\xFF\xFF");
  const absl::Status status = T5Tokenizer::Load(CheckpointFolder(dir.path())).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("spiece.model: malformed"));
}

TEST(T5TokenizerTest, BadTokenizerJsonIsNamed) {
  for (const char* text :
       {"{}", R"({"model": {"type": "BPE"}})", R"({"model": {"vocab": {}}})",
        R"({"model": {"vocab": [["a", "b"]], "unk_id": 0}})",
        R"({"model": {"vocab": [["a", -1]], "unk_id": 1}})", R"({"model": {"vocab": [["a", -1]]}})",
        R"({"model": {"vocab": [[1, -1]], "unk_id": 0}})",
        R"({"model": {"vocab": [["a", -1]], "unk_id": 0},
            "normalizer": {"type": "Precompiled", "precompiled_charsmap": "??"}})",
        R"({"model": {"vocab": [["a", -1]], "unk_id": 0},
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "Precompiled"}]}})",
        R"({"model": {"vocab": [["a", -1]], "unk_id": 0},
            "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AQID"}})"}) {
    const TempDir dir;
    dir.Write("tokenizer_2/tokenizer.json", text);
    const absl::Status status = T5Tokenizer::Load(CheckpointFolder(dir.path())).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("tokenizer.json: "));
  }
}

}  // namespace
}  // namespace tessera
