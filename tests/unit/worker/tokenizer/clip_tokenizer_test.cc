#include "worker/tokenizer/clip_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/model/checkpoint_folder.h"
#include "tests/support/golden.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempDir;

constexpr int64_t kStart = 692;
constexpr int64_t kEnd = 693;

ClipTokenizer LoadOrFail(const std::string& model_dir) {
  absl::StatusOr<ClipTokenizer> tokenizer = ClipTokenizer::Load(CheckpointFolder(model_dir));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

ClipTokenizer Tiny() { return LoadOrFail(testing::TinyFluxDir()); }

TEST(ClipTokenizerTest, EmptyPromptIsStartEndAndPadding) {
  const auto tokens = Tiny().Encode("", 4);
  EXPECT_THAT(tokens->ids, ElementsAre(kStart, kEnd, kEnd, kEnd));
  EXPECT_EQ(tokens->tokens, 2);
  EXPECT_EQ(Tiny().Encode(" \t\u3000\n", 4)->ids, tokens->ids);
}

TEST(ClipTokenizerTest, CountsTheTokensThatAreCut) {
  const std::string prompt(100, '!');
  const ClipTokenizer tokenizer = Tiny();
  const auto whole = tokenizer.Encode(prompt, 200);
  const auto cut = tokenizer.Encode(prompt, 77);
  EXPECT_EQ(cut->ids.size(), 77U);
  EXPECT_EQ(cut->ids.back(), kEnd);
  EXPECT_EQ(cut->tokens, whole->tokens);
  EXPECT_GT(cut->tokens, 77);
  EXPECT_EQ(std::vector<int64_t>(cut->ids.begin(), cut->ids.end() - 1),
            std::vector<int64_t>(whole->ids.begin(), whole->ids.begin() + 76));
}

TEST(ClipTokenizerTest, ExactlyFullIsNotCut) {
  const ClipTokenizer tokenizer = Tiny();
  const int count = tokenizer.Encode("a small red boat", 77)->tokens;
  const auto full = tokenizer.Encode("a small red boat", count);
  EXPECT_EQ(full->tokens, count);
  EXPECT_EQ(full->ids.back(), kEnd);
  EXPECT_NE(full->ids[full->ids.size() - 2], kEnd);
}

TEST(ClipTokenizerTest, WordsEndAtClassesAndContractions) {
  const ClipTokenizer tokenizer = Tiny();
  const auto ids = [&](const char* prompt) { return tokenizer.Encode(prompt, 40)->ids; };
  EXPECT_EQ(ids("it's"), ids("it 's"));
  EXPECT_NE(ids("it's"), ids("it' s"));
  EXPECT_EQ(ids("ab12"), ids("ab 1 2"));
  EXPECT_EQ(ids("a!?b"), ids("a !? b"));
  EXPECT_NE(ids("a!?b"), ids("a ! ? b"));
  EXPECT_EQ(ids("RED Boat"), ids("red boat"));
}

TEST(ClipTokenizerTest, ControlTokensInAnyCase) {
  const auto tokens = Tiny().Encode("<|StartOfText|><|ENDOFTEXT|>", 6);
  EXPECT_THAT(tokens->ids, ElementsAre(kStart, kStart, kEnd, kEnd, kEnd, kEnd));
  EXPECT_EQ(tokens->tokens, 4);
}

TEST(ClipTokenizerTest, RawControlTokensOnlyAsWritten) {
  const testing::CheckpointCopy checkpoint;
  checkpoint.EditJson("tokenizer/tokenizer_config.json", R"({"added_tokens_decoder": {
      "692": {"content": "<|startoftext|>"}, "693": {"content": "<|endoftext|>"}}})");
  const ClipTokenizer tokenizer = LoadOrFail(checkpoint.dir());
  EXPECT_EQ(tokenizer.Encode("<|endoftext|>", 3)->tokens, 3);
  // In other case the token is text, which is cut at the bars even where more signs follow.
  EXPECT_EQ(tokenizer.Encode("<|EndOfText|>!", 40)->ids,
            tokenizer.Encode("<| endoftext |> !", 40)->ids);
  EXPECT_NE(tokenizer.Encode("<|EndOfText|>!", 40)->ids,
            tokenizer.Encode("<| endoftext |>!", 40)->ids);
}

TEST(ClipTokenizerTest, InvalidUtf8IsRefused) {
  const absl::Status status = Tiny().Encode("ab\xFF", 77).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("UTF-8 at byte 2"));
}

TEST(ClipTokenizerTest, TooShortALengthIsRefused) {
  EXPECT_EQ(Tiny().Encode("a", 1).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Tiny().Encode("a", 2)->ids, ElementsAre(kStart, kEnd));
}

TEST(ClipTokenizerTest, HugePromptsAreCounted) {
  const ClipTokenizer tokenizer = Tiny();
  constexpr int kRepeats = 200000;
  std::string words;
  for (int i = 0; i < kRepeats; ++i) words += "a ";
  EXPECT_EQ(tokenizer.Encode(words, 77)->tokens, kRepeats + 2);
  const auto one_word = tokenizer.Encode(std::string(kRepeats, 'q'), 77);
  EXPECT_EQ(one_word->tokens, kRepeats + 2);  // no merge of "q" with "q" in this vocabulary
}

TEST(ClipTokenizerTest, ReadsTokenizerJsonWhereThereIsNoVocabulary) {
  const TempDir dir;
  dir.Write("tokenizer/tokenizer.json", R"({"model": {"type": "BPE",
      "vocab": {"a": 0, "b</w>": 1, "ab</w>": 2, "<|startoftext|>": 3, "<|endoftext|>": 4},
      "merges": [["a", "b</w>"]]}})");
  EXPECT_THAT(LoadOrFail(dir.path()).Encode("ab", 4)->ids, ElementsAre(3, 2, 4, 4));
}

TEST(ClipTokenizerTest, SymbolsOutsideTheVocabularyAreUnknown) {
  const TempDir dir;
  dir.Write("tokenizer/vocab.json",
            R"({"a": 0, "<|endoftext|>": 1, "<unk>": 2, "<|startoftext|>": 3})");
  dir.Write("tokenizer/merges.txt", "#version: 0.2\r\n\r\n");
  dir.Write("tokenizer/special_tokens_map.json", R"({"unk_token": "<unk>"})");
  EXPECT_THAT(LoadOrFail(dir.path()).Encode("ax", 4)->ids, ElementsAre(3, 0, 2, 1));
}

TEST(ClipTokenizerTest, MissingFilesAreNotFound) {
  const TempDir dir;
  const absl::Status status = ClipTokenizer::Load(CheckpointFolder(dir.path())).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("vocab.json"));
  dir.Write("tokenizer/vocab.json", "{}");
  EXPECT_THAT(std::string(ClipTokenizer::Load(CheckpointFolder(dir.path())).status().message()),
              HasSubstr("merges.txt"));
}

struct BadFile {
  const char* file;
  const char* text;
  const char* error;
};

class BadClipFileTest : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadClipFileTest, IsNamed) {
  const testing::CheckpointCopy checkpoint;
  const std::string path = checkpoint.dir() + "/tokenizer/" + GetParam().file;
  std::ofstream(path, std::ios::binary) << GetParam().text;
  const absl::Status status = ClipTokenizer::Load(CheckpointFolder(checkpoint.dir())).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().file));
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadClipFileTest,
    ::testing::Values(BadFile{"vocab.json", "", "JSON"}, BadFile{"vocab.json", "[]", "object"},
                      BadFile{"vocab.json", R"({"a": -1})", "token id"},
                      BadFile{"vocab.json", R"({"a": 1.5})", "token id"},
                      BadFile{"vocab.json", R"({"a": 18446744073709551615})", "token id"},
                      BadFile{"vocab.json", R"({"a": [[[]]]})", "token id"},
                      BadFile{"merges.txt", "#version\na b c\n", "merges.txt:2"},
                      BadFile{"merges.txt", "ab\n", "two symbols"},
                      BadFile{"merges.txt", " b\n", "two symbols"},
                      BadFile{"merges.txt", "a \n", "two symbols"},
                      BadFile{"merges.txt", "#version\nq \xFF\xFE\n", "merge 1"},
                      BadFile{"tokenizer_config.json", R"({"mask_token": 1})", "mask_token"}));

TEST(ClipTokenizerTest, BadTokenizerJsonIsNamed) {
  for (const char* text :
       {"{}", R"({"model": 3})", R"({"model": {"type": "Unigram"}})", R"({"model": {"vocab": []}})",
        R"({"model": {"vocab": {}, "merges": {}}})", R"({"model": {"vocab": {}, "merges": [3]}})",
        R"({"model": {"vocab": {}, "merges": ["a"]}})",
        R"({"model": {"vocab": {}, "merges": [["a"]]}})"}) {
    const TempDir dir;
    dir.Write("tokenizer/tokenizer.json", text);
    const absl::Status status = ClipTokenizer::Load(CheckpointFolder(dir.path())).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("tokenizer.json: "));
    EXPECT_THAT(std::string(status.message()), HasSubstr("model"));
  }
}

}  // namespace
}  // namespace tessera
