#include "client/terminal.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace tessera {
namespace {

PictureStyle Detect(const std::map<std::string, std::string>& environment) {
  return DetectPictureStyle([&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(PictureStyleTest, KnowsGraphicsProtocols) {
  EXPECT_EQ(Detect({{"TERM", "xterm-kitty"}}), PictureStyle::kKitty);
  EXPECT_EQ(Detect({{"TERM", "xterm-256color"}, {"KITTY_WINDOW_ID", "1"}}), PictureStyle::kKitty);
  EXPECT_EQ(Detect({{"TERM", "xterm-256color"}, {"TERM_PROGRAM", "iTerm.app"}}),
            PictureStyle::kIterm);
}

TEST(PictureStyleTest, HalfBlocksAnywhereElse) {
  EXPECT_EQ(Detect({{"TERM", "xterm-256color"}}), PictureStyle::kHalfBlocks);
  EXPECT_EQ(Detect({{"TERM", "linux"}}), PictureStyle::kHalfBlocks);
}

TEST(PictureStyleTest, HalfBlocksInsideAMultiplexer) {
  EXPECT_EQ(Detect({{"TERM", "tmux-256color"}, {"KITTY_WINDOW_ID", "1"}}),
            PictureStyle::kHalfBlocks);
  EXPECT_EQ(Detect({{"TERM", "screen"}, {"TERM_PROGRAM", "iTerm.app"}}), PictureStyle::kHalfBlocks);
}

TEST(PictureStyleTest, NothingWithoutColours) {
  EXPECT_EQ(Detect({}), PictureStyle::kNone);
  EXPECT_EQ(Detect({{"TERM", "dumb"}}), PictureStyle::kNone);
  EXPECT_EQ(Detect({{"TERM", "xterm-kitty"}, {"NO_COLOR", "1"}}), PictureStyle::kNone);
}

TEST(TerminalSizeTest, IsTheUsualOneWithoutATerminal) {
  EXPECT_EQ(TerminalSize(-1).columns, 80);
  EXPECT_EQ(TerminalSize(-1).rows, 24);
}

}  // namespace
}  // namespace tessera
