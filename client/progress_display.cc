#include "client/progress_display.h"

#include <unistd.h>

#include "client/progress_text.h"
#include "client/terminal.h"

namespace tessera {
namespace {

constexpr char kClearLine[] = "\r\x1b[K";

}  // namespace

ProgressDisplay::ProgressDisplay(FILE* stream)
    : stream_(stream), on_terminal_(isatty(fileno(stream)) == 1) {}

ProgressDisplay::~ProgressDisplay() {
  if (!on_terminal_) return;
  std::fputs(kClearLine, stream_);
  std::fflush(stream_);
}

void ProgressDisplay::Show(const v1::StreamGenerateImageResponse& event) {
  Print(ProgressText(event, Columns()));
}

void ProgressDisplay::ShowRetry(const absl::Status& why, double wait_s) {
  Print(RetryText(why, wait_s, Columns()));
}

int ProgressDisplay::Columns() const {
  return on_terminal_ ? TerminalSize(fileno(stream_)).columns - 1 : 120;
}

void ProgressDisplay::Print(const std::string& line) {
  if (line.empty()) return;
  if (on_terminal_) {
    std::fprintf(stream_, "%s%s", kClearLine, line.c_str());
  } else {
    std::fprintf(stream_, "%s\n", line.c_str());
  }
  std::fflush(stream_);
}

}  // namespace tessera
