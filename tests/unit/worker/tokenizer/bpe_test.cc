#include "worker/tokenizer/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int kUnknown = 99;

const BpeVocabulary& Vocabulary() {
  static const BpeVocabulary vocabulary = {
      {"a", 0},       {"b", 1},  {"c", 2},       {"a</w>", 3},   {"b</w>", 4}, {"c</w>", 5},
      {"ab", 6},      {"bc", 7}, {"abc", 8},     {"abc</w>", 9}, {"aa", 10},   {"aaaa", 11},
      {"bc</w>", 12}, {"Ġ", 13}, {"Ã©</w>", 14}, {"Ã", 15},      {"©</w>", 16}};
  return vocabulary;
}

std::vector<int64_t> Encode(const std::vector<std::pair<std::string, std::string>>& merges,
                            std::string_view word) {
  const absl::StatusOr<Bpe> bpe = Bpe::Create(Vocabulary(), merges, kUnknown);
  EXPECT_TRUE(bpe.ok()) << bpe.status();
  std::vector<int64_t> ids;
  bpe->Encode(word, ids);
  return ids;
}

TEST(BpeTest, WithoutMergesEveryByteIsASymbol) {
  EXPECT_THAT(Encode({}, "abc"), ElementsAre(0, 1, 5));
  EXPECT_THAT(Encode({}, "a"), ElementsAre(3));
  EXPECT_THAT(Encode({}, ""), ElementsAre());
}

TEST(BpeTest, LowestRankMergesFirst) {
  EXPECT_THAT(Encode({{"a", "b"}, {"b", "c"}}, "abca"), ElementsAre(6, 2, 3));
  EXPECT_THAT(Encode({{"b", "c"}, {"a", "b"}}, "abca"), ElementsAre(0, 7, 3));
  EXPECT_THAT(Encode({{"b", "c"}, {"a", "bc"}}, "abcb"), ElementsAre(8, 4));
}

TEST(BpeTest, OfEqualRanksTheLeftmostMergesFirst) {
  EXPECT_THAT(Encode({{"a", "a"}}, "aaab"), ElementsAre(10, 0, 4));
  EXPECT_THAT(Encode({{"a", "a"}, {"aa", "aa"}}, "aaaaaab"), ElementsAre(11, 10, 4));
}

TEST(BpeTest, TheEndOfWordBelongsToTheSymbol) {
  EXPECT_THAT(Encode({{"b", "c"}}, "bc"), ElementsAre(1, 5));
  EXPECT_THAT(Encode({{"b", "c</w>"}}, "bc"), ElementsAre(12));
}

TEST(BpeTest, BytesStandForThemselves) {
  EXPECT_THAT(Encode({{"Ã", "©</w>"}}, "\u00E9"), ElementsAre(14));
  EXPECT_THAT(Encode({}, " a"), ElementsAre(13, 3));
  EXPECT_THAT(Encode({}, "zz"), ElementsAre(kUnknown, kUnknown));
}

TEST(BpeTest, OneHugeWordIsMergedToTheEnd) {
  constexpr size_t kQuads = 50000;
  std::string word(4 * kQuads, 'a');
  word += 'b';
  std::vector<int64_t> ids = Encode({{"a", "a"}, {"aa", "aa"}}, word);
  EXPECT_EQ(ids.back(), 4);
  ids.pop_back();
  EXPECT_THAT(ids, SizeIs(kQuads));
  EXPECT_THAT(ids, Each(11));
}

TEST(BpeTest, MergeOutsideTheVocabularyIsNamed) {
  for (const std::pair<std::string, std::string>& merge :
       {std::pair<std::string, std::string>{"a", "q"}, {"q", "a"}, {"c", "c"}}) {
    const absl::Status status = Bpe::Create(Vocabulary(), {{"a", "b"}, merge}, kUnknown).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("merge 2"));
  }
}

}  // namespace
}  // namespace tessera
