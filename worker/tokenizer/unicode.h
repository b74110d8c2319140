#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace tessera {

// One character of UTF-8 text. A malformed byte reads as U+FFFD, one byte long.
struct Utf8Char {
  char32_t code = 0;
  size_t bytes = 0;
  bool valid = false;
};

// The character at text[pos]; pos < text.size().
Utf8Char ReadUtf8(std::string_view text, size_t pos);
void AppendUtf8(char32_t code, std::string& text);

// INVALID_ARGUMENT with the offset of the first malformed byte. Surrogates and overlong forms are
// malformed; NUL is not.
absl::Status CheckUtf8(std::string_view text);

// Normal form C, then lower case, code point by code point: U+0130 becomes "i" U+0307, final sigma
// has no rule. Time is linear in the text's length but for sorting runs of combining marks.
std::string ComposeAndLower(std::string_view text);

bool IsLetter(char32_t code);      // general category L
bool IsNumber(char32_t code);      // general category N
bool IsWhiteSpace(char32_t code);  // property White_Space

// The offset behind the extended grapheme cluster that starts at `pos`; pos < text.size().
size_t GraphemeEnd(std::string_view text, size_t pos);

}  // namespace tessera
