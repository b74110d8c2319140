#pragma once

#include <functional>

namespace tessera {

// In characters.
struct TerminalExtent {
  int columns = 80;
  int rows = 24;
};

// Of the terminal behind `fd`; at least 40 x 10. 80 x 24 when it does not tell.
TerminalExtent TerminalSize(int fd);

// How a picture is drawn in a terminal.
enum class PictureStyle {
  kNone,
  kHalfBlocks,  // true colour, two pixels a character
  kKitty,       // kitty's graphics protocol
  kIterm,       // iTerm2's inline images
};

// The best that a terminal with this environment understands. `getenv` is std::getenv's like.
PictureStyle DetectPictureStyle(const std::function<const char*(const char* name)>& getenv);

}  // namespace tessera
