#include "worker/tokenizer/unigram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

using ::testing::ElementsAre;

constexpr int kUnknown = 0;

std::vector<int64_t> Encode(std::vector<UnigramPiece> pieces, std::string_view word) {
  pieces.insert(pieces.begin(), {"<unk>", 0.0});
  std::vector<int64_t> ids;
  Unigram(std::move(pieces), kUnknown).Encode(word, ids);
  return ids;
}

TEST(UnigramTest, LargestSumWins) {
  EXPECT_THAT(Encode({{"a", -1}, {"b", -1}, {"ab", -1.9}}, "ab"), ElementsAre(3));
  EXPECT_THAT(Encode({{"a", -1}, {"b", -1}, {"ab", -2.1}}, "ab"), ElementsAre(1, 2));
}

TEST(UnigramTest, OfEqualSumsTheFirstFoundStays) {
  // "a" + "bc" reaches the end after "abc" does, "ab" + "c" after both.
  EXPECT_THAT(Encode({{"a", -1}, {"bc", -1}, {"ab", -1}, {"c", -1}, {"abc", -2}}, "abc"),
              ElementsAre(5));
  EXPECT_THAT(Encode({{"a", -1}, {"bc", -1}, {"ab", -1}, {"c", -1}}, "abc"), ElementsAre(1, 2));
}

TEST(UnigramTest, UnknownCharactersCollapse) {
  EXPECT_THAT(Encode({{"a", -1}}, "xéa東x"), ElementsAre(kUnknown, 1, kUnknown));
  EXPECT_THAT(Encode({}, "xyz"), ElementsAre(kUnknown));
}

TEST(UnigramTest, WordsDoNotCollapseIntoEachOther) {
  const Unigram unigram({{"<unk>", 0.0}}, kUnknown);
  std::vector<int64_t> ids;
  unigram.Encode("x", ids);
  unigram.Encode("y", ids);
  EXPECT_THAT(ids, ElementsAre(kUnknown, kUnknown));
}

TEST(UnigramTest, AnUnknownCostsTenMoreThanTheWorstPiece) {
  // "ab" is left for a + unknown when its score is below -1 - (5 + 10).
  EXPECT_THAT(Encode({{"a", -1}, {"ab", -15.9}, {"q", -5}}, "ab"), ElementsAre(2));
  EXPECT_THAT(Encode({{"a", -1}, {"ab", -5}, {"q", 3}}, "ab"), ElementsAre(2));
  EXPECT_THAT(Encode({{"abc", -40}, {"a", -1}, {"c", -1}}, "abc"), ElementsAre(1));
}

TEST(UnigramTest, OneHugeWordIsSegmented) {
  constexpr size_t kPairs = 100000;
  std::string word;
  for (size_t i = 0; i < kPairs; ++i) word += "ab";
  EXPECT_EQ(Encode({{"a", -1}, {"b", -1}, {"ab", -1.5}, {"ba", -1.5}}, word),
            std::vector<int64_t>(kPairs, 3));
}

}  // namespace
}  // namespace tessera
