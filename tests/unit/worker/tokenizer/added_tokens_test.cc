#include "worker/tokenizer/added_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// The visits of one Cut: "text" or "#id".
std::vector<std::string> Cut(std::vector<AddedToken> tokens, std::string_view prompt) {
  std::vector<std::string> visits;
  AddedTokenCutter(std::move(tokens), Lower)
      .Cut(
          prompt, [&](int id) { visits.push_back(absl::StrCat("#", id)); },
          [&](std::string_view text) { visits.emplace_back(text); });
  return visits;
}

TEST(AddedTokensTest, TextBetweenTokensIsNormalised) {
  EXPECT_THAT(Cut({{"</s>", 1}}, "A</s>B </s></s>"), ElementsAre("a", "#1", "b ", "#1", "#1"));
  EXPECT_THAT(Cut({{"</s>", 1}}, ""), ElementsAre());
  EXPECT_THAT(Cut({}, "AB"), ElementsAre("ab"));
}

TEST(AddedTokensTest, RawTokensAreFoundAsWritten) {
  EXPECT_THAT(Cut({{"<End>", 7}}, "x<End><end>"), ElementsAre("x", "#7", "<end>"));
}

TEST(AddedTokensTest, NormalizedTokensAreFoundInAnyCase) {
  EXPECT_THAT(Cut({{"<End>", 7, /*normalized=*/true}}, "x<eND>Y"), ElementsAre("x", "#7", "y"));
}

TEST(AddedTokensTest, LeftmostThenLongestWins) {
  EXPECT_THAT(Cut({{"<a>", 1}, {"<a>b", 2}, {"b<c>", 3}}, "<a>b<c>"), ElementsAre("#2", "<c>"));
  EXPECT_THAT(Cut({{"<a>", 1}, {"<a>bd", 2}, {"b<c>", 3}}, "<a>b<c>"), ElementsAre("#1", "#3"));
}

TEST(AddedTokensTest, StripTakesTheWhiteSpaceBeside) {
  const AddedToken left{"<m>", 5, false, /*lstrip=*/true};
  const AddedToken right{"<m>", 5, false, false, /*rstrip=*/true};
  EXPECT_THAT(Cut({left}, "a \u3000<m> b"), ElementsAre("a", "#5", " b"));
  EXPECT_THAT(Cut({right}, "a <m>\u3000 b"), ElementsAre("a ", "#5", "b"));
  EXPECT_THAT(Cut({right}, "<m>  "), ElementsAre("#5"));
}

}  // namespace
}  // namespace tessera
