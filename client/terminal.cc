#include "client/terminal.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <string_view>

namespace tessera {

TerminalExtent TerminalSize(int fd) {
  winsize size = {};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {.columns = std::max<int>(size.ws_col, 40), .rows = std::max<int>(size.ws_row, 10)};
}

PictureStyle DetectPictureStyle(const std::function<const char*(const char* name)>& getenv) {
  const auto value = [&](const char* name) {
    const char* const found = getenv(name);
    return std::string_view(found == nullptr ? "" : found);
  };
  const std::string_view term = value("TERM");
  if (term.empty() || term == "dumb" || !value("NO_COLOR").empty()) return PictureStyle::kNone;
  // A multiplexer hands on colours, but no graphics protocol.
  if (term.starts_with("screen") || term.starts_with("tmux")) return PictureStyle::kHalfBlocks;
  if (term == "xterm-kitty" || !value("KITTY_WINDOW_ID").empty()) return PictureStyle::kKitty;
  const std::string_view program = value("TERM_PROGRAM");
  if (program == "iTerm.app" || program == "WezTerm") return PictureStyle::kIterm;
  return PictureStyle::kHalfBlocks;
}

}  // namespace tessera
