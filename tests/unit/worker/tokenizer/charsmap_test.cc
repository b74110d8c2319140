#include "worker/tokenizer/charsmap.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

constexpr uint32_t kLeaf = 1U << 8;
constexpr uint32_t kOffsetOne = 1U << 10;

std::string Bytes(uint32_t value) {
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

// A table that turns "a" into "xyz" and knows "ab" too. Every unit's offset is 1.
std::string Table() {
  std::vector<uint32_t> units(0x62);
  units[0] = kOffsetOne;
  units[1 ^ 'a'] = 'a' | kLeaf | kOffsetOne;
  units['a'] = 0;  // the place of "xyz"
  units['a' ^ 'b'] = 'b' | kLeaf | kOffsetOne;
  units['a' ^ 'b' ^ 1] = 4;  // the place of "q"
  std::string table = Bytes(static_cast<uint32_t>(units.size() * 4));
  for (const uint32_t unit : units) table += Bytes(unit);
  return table + std::string("xyz\0q\0", 6);
}

std::string Normalize(std::string_view text) {
  const absl::StatusOr<Charsmap> charsmap = Charsmap::Parse(Table());
  EXPECT_TRUE(charsmap.ok()) << charsmap.status();
  return charsmap->Normalize(text);
}

TEST(CharsmapTest, EmptyTableChangesNothing) {
  EXPECT_EQ(Charsmap().Normalize("a\u0301"), "a\u0301");
  EXPECT_EQ(Charsmap::Parse("")->Normalize("a"), "a");
}

TEST(CharsmapTest, CharactersInTheTableAreReplaced) {
  EXPECT_EQ(Normalize("banc"), "bxyznc");
  EXPECT_EQ(Normalize(""), "");
}

TEST(CharsmapTest, AClusterIsReplacedByItsShortestPrefix) {
  EXPECT_EQ(Normalize("a\u0301c"), "xyzc");
  EXPECT_EQ(Normalize("ab"), "xyzb");  // two clusters
}

TEST(CharsmapTest, ALongClusterIsLookedUpCharacterByCharacter) {
  EXPECT_EQ(Normalize("a\u0301\u0302\u0303"), "xyz\u0301\u0302\u0303");
}

TEST(CharsmapTest, NulEndsALookup) {
  EXPECT_EQ(Normalize(std::string("\0a", 2)), std::string("\0xyz", 4));
}

TEST(CharsmapTest, MalformedTablesAreRefused) {
  const std::string table = Table();
  EXPECT_FALSE(Charsmap::Parse("abc").ok());
  EXPECT_FALSE(Charsmap::Parse(Bytes(0) + "rest").ok());
  EXPECT_FALSE(Charsmap::Parse(Bytes(6) + "123456").ok());
  EXPECT_FALSE(Charsmap::Parse(Bytes(0xFFFFFFFC) + table.substr(4)).ok());
}

TEST(CharsmapTest, PlacesOutsideTheTableReplaceNothing) {
  std::string table = Table();
  table[4 + 4 * 'a' + 2] = 0x7F;  // the place of a's replacement
  EXPECT_EQ(Charsmap::Parse(table)->Normalize("a"), "a");
  table = Table();
  table[4 + 4 * (1 ^ 'a') + 3] = 0x7F;  // the offset of a's unit
  EXPECT_EQ(Charsmap::Parse(table)->Normalize("a"), "a");
  table = Table();
  table[4 + 3] = 0x7F;  // the offset of the root
  EXPECT_EQ(Charsmap::Parse(table)->Normalize("a"), "a");
}

}  // namespace
}  // namespace tessera
