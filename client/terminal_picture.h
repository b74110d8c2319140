#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/terminal.h"
#include "common/png/png.h"

namespace tessera {

// What to write to a terminal so that it shows a picture, with its line ends.

// At most extent.columns wide and extent.rows high, proportions kept; a larger picture is averaged
// down.
std::string HalfBlocks(const PngImage& image, const TerminalExtent& extent);

std::string KittyPicture(const std::string& png);
std::string ItermPicture(const std::string& png);

// By style; empty for kNone. INVALID_ARGUMENT when half blocks are asked for and `png` is none.
absl::StatusOr<std::string> TerminalPicture(const std::string& png, PictureStyle style,
                                            const TerminalExtent& extent);

}  // namespace tessera
