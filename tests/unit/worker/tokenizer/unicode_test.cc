#include "worker/tokenizer/unicode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

using ::testing::HasSubstr;

TEST(UnicodeTest, MalformedUtf8IsNamedByItsOffset) {
  // A stray continuation, an overlong form, a surrogate, a code point too large, a cut character.
  for (const std::string bad :
       {"\x80", "\xC0\xAF", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\xE2\x96"}) {
    const absl::Status status = CheckUtf8("ab" + bad);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("at byte 2"));
  }
  EXPECT_TRUE(CheckUtf8(std::string("a\0b", 3)).ok());
  EXPECT_TRUE(CheckUtf8("").ok());
}

TEST(UnicodeTest, ComposesAndLowersCodePointByCodePoint) {
  EXPECT_EQ(ComposeAndLower("CAFE\u0301"), "caf\u00E9");
  EXPECT_EQ(ComposeAndLower("\u0130"), "i\u0307");
  EXPECT_EQ(ComposeAndLower("ΣΟΦΟΣ"), "σοφοσ");  // no final sigma
  EXPECT_EQ(ComposeAndLower("\u1E9E"), "\u00DF");
  EXPECT_EQ(ComposeAndLower("a\u0301\u0323"), "\u1EA1\u0301");  // marks in canonical order
  EXPECT_EQ(ComposeAndLower("\u212B"), "\u00E5");               // a singleton
  EXPECT_EQ(ComposeAndLower("\uFB01"), "\uFB01");               // no compatibility forms
}

TEST(UnicodeTest, ManyMarksAreOrdered) {
  constexpr int kMarks = 50000;
  std::string text = "x";
  std::string expected = "x";
  for (int i = 0; i < kMarks; ++i) text += "\u0301\u0323";
  for (int i = 0; i < kMarks; ++i) expected += "\u0323";
  for (int i = 0; i < kMarks; ++i) expected += "\u0301";
  EXPECT_EQ(ComposeAndLower(text), expected);
}

TEST(UnicodeTest, Classes) {
  EXPECT_TRUE(IsLetter(U'ß') && IsLetter(U'東') && IsLetter(U'ʰ'));
  EXPECT_FALSE(IsLetter(U'\u0301') || IsLetter(U'5') || IsLetter(U'_'));
  EXPECT_TRUE(IsNumber(U'5') && IsNumber(U'½') && IsNumber(U'Ⅷ'));
  EXPECT_TRUE(IsWhiteSpace(U'\u0085') && IsWhiteSpace(U'\u3000') && IsWhiteSpace(U'\t'));
  EXPECT_FALSE(IsWhiteSpace(U'\u200B') || IsWhiteSpace(U'\u001F') || IsWhiteSpace(U'\u180E'));
}

TEST(UnicodeTest, GraphemeClusters) {
  EXPECT_EQ(GraphemeEnd("ab", 0), 1U);
  EXPECT_EQ(GraphemeEnd("e\u0301x", 0), 3U);
  EXPECT_EQ(GraphemeEnd("\r\nx", 0), 2U);
  const std::string flags = "🇩🇪🇫🇷";
  EXPECT_EQ(GraphemeEnd(flags, 0), flags.size() / 2);
}

}  // namespace
}  // namespace tessera
