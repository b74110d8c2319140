#include "worker/tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kCapitalIWithDot = 0x130;
constexpr char32_t kCombiningDotAbove = 0x307;

int CombiningClass(int32_t code) { return utf8proc_get_property(code)->combining_class; }

// Canonical decomposition in canonical order. utf8proc_decompose would order by exchanging
// neighbours, which takes quadratic time on a long run of marks.
std::vector<int32_t> Decompose(std::string_view text) {
  std::vector<int32_t> codes;
  codes.reserve(text.size());
  constexpr int kMaxDecomposition = 8;  // code points; the longest canonical one has 4
  std::array<int32_t, kMaxDecomposition> buffer;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char character = ReadUtf8(text, pos);
    pos += character.bytes;
    int last_boundclass = 0;
    const auto count =
        utf8proc_decompose_char(static_cast<int32_t>(character.code), buffer.data(),
                                kMaxDecomposition, UTF8PROC_DECOMPOSE, &last_boundclass);
    if (count < 1 || count > kMaxDecomposition) {
      codes.push_back(static_cast<int32_t>(character.code));
    } else {
      codes.insert(codes.end(), buffer.begin(), buffer.begin() + count);
    }
  }
  const auto is_mark = [](int32_t code) { return CombiningClass(code) != 0; };
  for (auto run = codes.begin(); run != codes.end();) {
    run = std::find_if(run, codes.end(), is_mark);
    const auto run_end = std::find_if_not(run, codes.end(), is_mark);
    std::stable_sort(run, run_end,
                     [](int32_t a, int32_t b) { return CombiningClass(a) < CombiningClass(b); });
    run = run_end;
  }
  return codes;
}

}  // namespace

Utf8Char ReadUtf8(std::string_view text, size_t pos) {
  int32_t code = -1;
  const auto bytes = utf8proc_iterate(reinterpret_cast<const uint8_t*>(text.data() + pos),
                                      static_cast<utf8proc_ssize_t>(text.size() - pos), &code);
  if (bytes < 1 || code < 0) return {kReplacement, 1, false};
  return {static_cast<char32_t>(code), static_cast<size_t>(bytes), true};
}

void AppendUtf8(char32_t code, std::string& text) {
  std::array<uint8_t, 4> bytes;
  const auto count = utf8proc_encode_char(static_cast<int32_t>(code), bytes.data());
  text.append(bytes.begin(), bytes.begin() + count);
}

absl::Status CheckUtf8(std::string_view text) {
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char character = ReadUtf8(text, pos);
    if (!character.valid) {
      return absl::InvalidArgumentError(absl::StrCat("not valid UTF-8 at byte ", pos));
    }
    pos += character.bytes;
  }
  return absl::OkStatus();
}

std::string ComposeAndLower(std::string_view text) {
  std::vector<int32_t> codes = Decompose(text);
  const auto count =
      utf8proc_normalize_utf32(codes.data(), static_cast<utf8proc_ssize_t>(codes.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  codes.resize(static_cast<size_t>(std::max<utf8proc_ssize_t>(count, 0)));

  std::string lower;
  lower.reserve(text.size());
  for (const int32_t code : codes) {
    if (code == static_cast<int32_t>(kCapitalIWithDot)) {
      lower += 'i';
      AppendUtf8(kCombiningDotAbove, lower);
    } else {
      AppendUtf8(static_cast<char32_t>(utf8proc_tolower(code)), lower);
    }
  }
  return lower;
}

bool IsLetter(char32_t code) {
  const auto category = utf8proc_category(static_cast<int32_t>(code));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool IsNumber(char32_t code) {
  const auto category = utf8proc_category(static_cast<int32_t>(code));
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

bool IsWhiteSpace(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
         code == 0x202F || code == 0x205F || code == 0x3000;
}

size_t GraphemeEnd(std::string_view text, size_t pos) {
  Utf8Char previous = ReadUtf8(text, pos);
  pos += previous.bytes;
  int32_t state = 0;
  while (pos < text.size()) {
    const Utf8Char next = ReadUtf8(text, pos);
    if (utf8proc_grapheme_break_stateful(static_cast<int32_t>(previous.code),
                                         static_cast<int32_t>(next.code), &state)) {
      break;
    }
    pos += next.bytes;
    previous = next;
  }
  return pos;
}

}  // namespace tessera
