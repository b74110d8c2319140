#include "worker/tokenizer/added_tokens.h"

#include <utility>

#include "worker/tokenizer/unicode.h"

namespace tessera {
namespace {

// The start of the white space that ends at `end`, at least `begin`.
size_t SpaceStart(std::string_view text, size_t begin, size_t end) {
  while (end > begin) {
    size_t start = end - 1;
    while (start > begin && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    if (!IsWhiteSpace(ReadUtf8(text, start).code)) break;
    end = start;
  }
  return end;
}

size_t SpaceEnd(std::string_view text, size_t pos) {
  while (pos < text.size()) {
    const Utf8Char character = ReadUtf8(text, pos);
    if (!IsWhiteSpace(character.code)) break;
    pos += character.bytes;
  }
  return pos;
}

}  // namespace

AddedTokenCutter::AddedTokenCutter(std::vector<AddedToken> tokens, Normalize normalize)
    : tokens_(std::move(tokens)), normalize_(std::move(normalize)) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    if (token.normalized) {
      normalized_.Add(normalize_(token.content), static_cast<int>(i));
    } else {
      raw_.Add(token.content, static_cast<int>(i));
    }
  }
}

void AddedTokenCutter::Cut(std::string_view prompt, const std::function<void(int id)>& on_token,
                           const std::function<void(std::string_view normalized)>& on_text) const {
  CutWith(raw_, prompt, on_token, [&](std::string_view between) {
    CutWith(normalized_, normalize_(between), on_token, on_text);
  });
}

void AddedTokenCutter::CutWith(const ByteTrie& trie, std::string_view text,
                               const std::function<void(int id)>& on_token,
                               const std::function<void(std::string_view)>& on_text) const {
  size_t done = 0;
  for (size_t pos = 0; pos < text.size();) {
    size_t length = 0;
    int index = 0;
    trie.ForEachPrefix(text, pos, [&](size_t bytes, int value) {
      length = bytes;
      index = value;
    });
    if (length == 0) {
      ++pos;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(index)];
    const size_t start = token.lstrip ? SpaceStart(text, done, pos) : pos;
    const size_t end = token.rstrip ? SpaceEnd(text, pos + length) : pos + length;
    if (start > done) on_text(text.substr(done, start - done));
    on_token(token.id);
    done = end;
    pos = end;
  }
  if (done < text.size()) on_text(text.substr(done));
}

}  // namespace tessera
