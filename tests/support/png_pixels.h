#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "common/png/png.h"

namespace tessera::testing {

// The RGB8 pixels of a PNG, [height, width, 3].
inline std::string PixelsOf(const std::string& png) {
  const absl::StatusOr<PngImage> image =
      DecodePng({reinterpret_cast<const uint8_t*>(png.data()), png.size()});
  EXPECT_TRUE(image.ok()) << image.status();
  return image.ok() ? std::string(image->rgb.begin(), image->rgb.end()) : std::string();
}

}  // namespace tessera::testing
