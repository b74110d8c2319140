#include "worker/tokenizer/charsmap.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "worker/tokenizer/unicode.h"

namespace tessera {
namespace {

constexpr size_t kMaxWholeCluster = 5;  // bytes

uint32_t ReadU32(std::string_view bytes, size_t pos) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[pos + i]);
  return value;
}

// The fields of one trie unit.
uint32_t Label(uint32_t unit) { return unit & 0x800000FF; }
bool HasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t Offset(uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }
uint32_t Value(uint32_t unit) { return unit & 0x7FFFFFFF; }

}  // namespace

absl::StatusOr<Charsmap> Charsmap::Parse(std::string_view table) {
  Charsmap charsmap;
  if (table.empty()) return charsmap;
  if (table.size() < 4) return absl::InvalidArgumentError("shorter than its size field");
  const uint32_t trie_bytes = ReadU32(table, 0);
  if (trie_bytes == 0 || trie_bytes % 4 != 0 || trie_bytes > table.size() - 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("a trie of ", trie_bytes, " bytes does not fit a table of ", table.size()));
  }
  charsmap.units_.reserve(trie_bytes / 4);
  for (size_t pos = 4; pos < 4 + size_t{trie_bytes}; pos += 4) {
    charsmap.units_.push_back(ReadU32(table, pos));
  }
  charsmap.replacements_ = table.substr(4 + size_t{trie_bytes});
  return charsmap;
}

std::string Charsmap::Normalize(std::string_view text) const {
  if (units_.empty()) return std::string(text);
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = GraphemeEnd(text, pos);
    const std::string_view cluster = text.substr(pos, end - pos);
    pos = end;
    if (cluster.size() <= kMaxWholeCluster && Replace(cluster, out)) continue;
    for (size_t i = 0; i < cluster.size();) {
      const std::string_view part = cluster.substr(i, ReadUtf8(cluster, i).bytes);
      if (!Replace(part, out)) out += part;
      i += part.size();
    }
  }
  return out;
}

bool Charsmap::Replace(std::string_view part, std::string& out) const {
  size_t position = Offset(units_[0]);
  for (const char c : part) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) return false;
    position ^= byte;
    if (position >= units_.size()) return false;
    const uint32_t unit = units_[position];
    if (Label(unit) != byte) return false;
    position ^= Offset(unit);
    if (!HasLeaf(unit)) continue;
    if (position >= units_.size()) return false;
    const size_t start = Value(units_[position]);
    if (start >= replacements_.size()) return false;
    const size_t end = std::min(replacements_.find('\0', start), replacements_.size());
    out.append(replacements_, start, end - start);
    return true;
  }
  return false;
}

}  // namespace tessera
