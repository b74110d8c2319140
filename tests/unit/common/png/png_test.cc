#include "common/png/png.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tessera {
namespace {

using ::testing::HasSubstr;

std::vector<uint8_t> Pattern(int width, int height) {
  std::vector<uint8_t> rgb(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<uint8_t>(i * i + i / 7);
  return rgb;
}

std::span<const uint8_t> Bytes(const std::string& png) {
  return {reinterpret_cast<const uint8_t*>(png.data()), png.size()};
}

TEST(PngTest, GivesBackPixelsAndTextInOrder) {
  const PngText text = {{"seed", "42"},
                        {"prompt", "caf\xc3\xa9 \xf0\x9f\x90\x88\nline two"},
                        {"empty", ""},
                        {"model", "tiny"}};
  const std::vector<uint8_t> rgb = Pattern(37, 11);
  const auto png = EncodePng(rgb, 37, 11, text);
  ASSERT_TRUE(png.ok()) << png.status();
  const auto image = DecodePng(Bytes(*png));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->width, 37);
  EXPECT_EQ(image->height, 11);
  EXPECT_EQ(image->rgb, rgb);
  EXPECT_EQ(image->text, text);
}

TEST(PngTest, PutsAsciiIntoTextAndTheRestIntoInternationalChunks) {
  const std::string ascii = *EncodePng(Pattern(2, 2), 2, 2, {{"prompt", "cafe"}});
  EXPECT_THAT(ascii, HasSubstr("tEXtprompt"));
  EXPECT_EQ(ascii.find("iTXt"), std::string::npos);
  const std::string utf8 = *EncodePng(Pattern(2, 2), 2, 2, {{"prompt", "caf\xc3\xa9"}});
  EXPECT_THAT(utf8, HasSubstr("iTXtprompt"));
  EXPECT_EQ(utf8.find("tEXt"), std::string::npos);
}

TEST(PngTest, SameInputGivesTheSameBytesWithoutATime) {
  const auto first = EncodePng(Pattern(64, 64), 64, 64, {{"seed", "1"}});
  EXPECT_EQ(*first, *EncodePng(Pattern(64, 64), 64, 64, {{"seed", "1"}}));
  EXPECT_EQ(first->find("tIME"), std::string::npos);
}

TEST(PngTest, AFlatPictureTakesFewBytes) {
  const std::vector<uint8_t> rgb(3 * 512 * 512, 77);
  const auto png = EncodePng(rgb, 512, 512, {});
  ASSERT_TRUE(png.ok()) << png.status();
  EXPECT_LT(png->size(), rgb.size() / 100);
  EXPECT_EQ(DecodePng(Bytes(*png))->rgb, rgb);
}

TEST(EncodePngTest, RefusesWhatDoesNotFit) {
  const std::vector<uint8_t> rgb = Pattern(4, 4);
  const auto code = [](const auto& result) { return result.status().code(); };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code(EncodePng(rgb, 4, 5, {})), kInvalid);
  EXPECT_EQ(code(EncodePng(rgb, 0, 0, {})), kInvalid);
  EXPECT_EQ(code(EncodePng(rgb, -4, -4, {})), kInvalid);
  EXPECT_EQ(code(EncodePng(rgb, 4, 4, {{"", "x"}})), kInvalid);
  EXPECT_EQ(code(EncodePng(rgb, 4, 4, {{std::string(80, 'k'), "x"}})), kInvalid);
  EXPECT_EQ(code(EncodePng(rgb, 4, 4, {{" space", "x"}})), kInvalid);
  EXPECT_EQ(code(EncodePng(rgb, 4, 4, {{"line\n", "x"}})), kInvalid);
  EXPECT_EQ(code(EncodePng(rgb, 4, 4, {{"key", std::string("a\0b", 3)}})), kInvalid);
}

TEST(EncodePngTest, TurnsAnErrorOfTheLibraryIntoAStatus) {
  const std::vector<uint8_t> row(3 * 2'000'000);  // wider than libpng's own limit
  const auto png = EncodePng(row, 2'000'000, 1, {});
  EXPECT_EQ(png.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(png.status().ToString(), HasSubstr("PNG encoder"));
}

TEST(DecodePngTest, RefusesEveryTruncation) {
  const std::string png = *EncodePng(Pattern(5, 5), 5, 5, {{"prompt", "caf\xc3\xa9"}});
  for (size_t size = 0; size < png.size(); ++size) {
    EXPECT_EQ(DecodePng(Bytes(png).first(size)).status().code(), absl::StatusCode::kInvalidArgument)
        << size;
  }
}

TEST(DecodePngTest, RefusesADamagedFile) {
  std::string png = *EncodePng(Pattern(5, 5), 5, 5, {});
  png[png.size() / 2] = static_cast<char>(png[png.size() / 2] ^ 0x55);
  EXPECT_FALSE(DecodePng(Bytes(png)).ok());
  EXPECT_FALSE(DecodePng(Bytes("GIF89a")).ok());
}

TEST(DecodePngTest, RefusesAPictureAboveItsLimit) {
  const auto png = EncodePng(std::vector<uint8_t>(3 * 16385), 16385, 1, {});
  ASSERT_TRUE(png.ok()) << png.status();
  EXPECT_EQ(DecodePng(Bytes(*png)).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tessera
