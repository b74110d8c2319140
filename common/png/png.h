#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace tessera {

// Keywords (1 to 79 printable ASCII characters) and UTF-8 values, in order.
using PngText = std::vector<std::pair<std::string, std::string>>;

struct PngImage {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;  // [height, width, 3]
  PngText text;
};

// Encodes rgb, [height, width, 3]. ASCII values become tEXt chunks, others iTXt; there is no time
// in the file: the same input gives the same bytes with the same libpng and zlib. Errors:
// INVALID_ARGUMENT (sizes, a keyword or value that PNG cannot hold), INTERNAL (libpng's own).
//
// Every row is filtered by Paeth's predictor, which is what libpng mostly chooses when it tries
// them all; zlib then looks for runs only. Strings that lie further back, for which it searches by
// default, are hardly found in filtered rows of a photo-like picture: a picture takes a quarter of
// the time or less, and no more bytes (docs/performance.md).
absl::StatusOr<std::string> EncodePng(std::span<const uint8_t> rgb, int width, int height,
                                      const PngText& text);

// Decodes any PNG to 8-bit RGB; transparency is dropped. The bytes are not trusted.
// INVALID_ARGUMENT: not a PNG, damaged, or a side above 16384 pixels.
absl::StatusOr<PngImage> DecodePng(std::span<const uint8_t> png);

}  // namespace tessera
