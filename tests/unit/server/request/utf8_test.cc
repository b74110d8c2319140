#include "server/request/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace tessera {
namespace {

TEST(Utf8Test, AcceptsEveryLength) {
  EXPECT_TRUE(IsValidUtf8(""));
  EXPECT_TRUE(IsValidUtf8("a cat"));
  EXPECT_TRUE(IsValidUtf8("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x90\x88"));
  EXPECT_TRUE(IsValidUtf8("\xF4\x8F\xBF\xBF"));  // U+10FFFF
}

TEST(Utf8Test, RejectsMalformedText) {
  const std::string malformed[] = {
      "\x80",              // continuation without a lead
      "\xC3",              // cut short
      "\xC3(",             // no continuation
      "\xC0\xAF",          // overlong, 2 bytes
      "\xE0\x80\xAF",      // overlong, 3 bytes
      "\xF0\x80\x80\xAF",  // overlong, 4 bytes
      "\xED\xA0\x80",      // surrogate
      "\xF4\x90\x80\x80",  // above U+10FFFF
      "\xF8\x88\x80\x80\x80",
      "\xFF",
  };
  for (const std::string& text : malformed) EXPECT_FALSE(IsValidUtf8("a" + text + "b")) << text;
}

}  // namespace
}  // namespace tessera
