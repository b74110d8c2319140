#include "client/terminal_picture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>

namespace tessera {
namespace {

TEST(HalfBlocksTest, TwoByTwoPixelsAreTwoCharacters) {
  const PngImage image = {
      .width = 2, .height = 2, .rgb = {255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3}, .text = {}};
  EXPECT_EQ(HalfBlocks(image, {.columns = 80, .rows = 24}),
            "\x1b[38;2;255;0;0;48;2;0;0;255m\u2580"
            "\x1b[38;2;0;255;0;48;2;1;2;3m\u2580"
            "\x1b[0m\n");
}

TEST(HalfBlocksTest, ALastOddRowHasNoBackground) {
  const PngImage image = {.width = 1, .height = 3, .rgb = {1, 1, 1, 2, 2, 2, 3, 3, 3}, .text = {}};
  EXPECT_EQ(HalfBlocks(image, {.columns = 80, .rows = 24}),
            "\x1b[38;2;1;1;1;48;2;2;2;2m\u2580\x1b[0m\n"
            "\x1b[38;2;3;3;3m\u2580\x1b[0m\n");
}

TEST(HalfBlocksTest, ALargePictureIsAveragedIntoTheTerminal) {
  PngImage image = {.width = 4, .height = 4, .rgb = std::vector<uint8_t>(48, 100), .text = {}};
  image.rgb[0] = 104;  // the mean red of the upper left four pixels is 101
  EXPECT_EQ(HalfBlocks(image, {.columns = 2, .rows = 10}),
            "\x1b[38;2;101;100;100;48;2;100;100;100m\u2580"
            "\x1b[38;2;100;100;100;48;2;100;100;100m\u2580"
            "\x1b[0m\n");
}

TEST(HalfBlocksTest, KeepsProportionsWithinTheRows) {
  const PngImage image = {
      .width = 200, .height = 100, .rgb = std::vector<uint8_t>(60000, 9), .text = {}};
  const std::string text = HalfBlocks(image, {.columns = 100, .rows = 10});
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 10);
  EXPECT_EQ(std::count(text.begin(), text.end(), 'm'),
            10 * (40 + 1));  // 40 characters and a reset a line
}

TEST(TerminalPictureTest, KittyGetsThePngInPiecesOf4096) {
  const std::string png(3 * 1024 + 3, '\0');  // 4100 characters of base64
  EXPECT_EQ(KittyPicture(png),
            "\x1b_Ga=T,f=100,m=1;" + std::string(4096, 'A') + "\x1b\\\x1b_Gm=0;AAAA\x1b\\\n");
}

TEST(TerminalPictureTest, ItermGetsThePngWhole) {
  EXPECT_EQ(ItermPicture("abc"), "\x1b]1337;File=inline=1;size=3:YWJj\x07\n");
}

TEST(TerminalPictureTest, DecodesForHalfBlocksOnly) {
  const TerminalExtent extent;
  EXPECT_EQ(TerminalPicture("no PNG", PictureStyle::kNone, extent).value(), "");
  EXPECT_EQ(TerminalPicture("no PNG", PictureStyle::kIterm, extent).value(),
            ItermPicture("no PNG"));
  EXPECT_EQ(TerminalPicture("no PNG", PictureStyle::kHalfBlocks, extent).status().code(),
            absl::StatusCode::kInvalidArgument);
  const std::vector<uint8_t> grey = {7, 7, 7, 8, 8, 8};
  const std::string png = EncodePng(grey, 1, 2, {}).value();
  EXPECT_EQ(TerminalPicture(png, PictureStyle::kHalfBlocks, extent).value(),
            "\x1b[38;2;7;7;7;48;2;8;8;8m\u2580\x1b[0m\n");
}

}  // namespace
}  // namespace tessera
