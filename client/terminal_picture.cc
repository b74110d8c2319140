#include "client/terminal_picture.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

using Rgb = std::array<int, 3>;

// The mean colour of the pixel (x, y) of the picture drawn at width x height.
Rgb Sample(const PngImage& image, int x, int y, int width, int height) {
  const auto begin = [](int i, int drawn, int real) {
    return static_cast<int>(int64_t{i} * real / drawn);
  };
  const int left = begin(x, width, image.width);
  const int right = std::max(begin(x + 1, width, image.width), left + 1);
  const int top = begin(y, height, image.height);
  const int bottom = std::max(begin(y + 1, height, image.height), top + 1);
  std::array<int64_t, 3> sums = {};
  for (int row = top; row < bottom; ++row) {
    for (int column = left; column < right; ++column) {
      const uint8_t* const pixel =
          &image.rgb[(static_cast<size_t>(row) * image.width + column) * 3];
      for (int channel = 0; channel < 3; ++channel) sums[channel] += pixel[channel];
    }
  }
  const int64_t count = int64_t{right - left} * (bottom - top);
  Rgb mean;
  for (int channel = 0; channel < 3; ++channel)
    mean[channel] = static_cast<int>((sums[channel] + count / 2) / count);
  return mean;
}

std::string Colour(const Rgb& rgb) { return absl::StrCat(rgb[0], ";", rgb[1], ";", rgb[2]); }

}  // namespace

std::string HalfBlocks(const PngImage& image, const TerminalExtent& extent) {
  const double scale = std::min(
      {1.0, static_cast<double>(extent.columns) / image.width, 2.0 * extent.rows / image.height});
  const int width = std::max(1, static_cast<int>(image.width * scale));
  const int height = std::max(1, static_cast<int>(image.height * scale));
  std::string text;
  for (int y = 0; y < height; y += 2) {
    for (int x = 0; x < width; ++x) {
      absl::StrAppend(&text, "\x1b[38;2;", Colour(Sample(image, x, y, width, height)));
      if (y + 1 < height)
        absl::StrAppend(&text, ";48;2;", Colour(Sample(image, x, y + 1, width, height)));
      absl::StrAppend(&text, "m\u2580");
    }
    absl::StrAppend(&text, "\x1b[0m\n");
  }
  return text;
}

std::string KittyPicture(const std::string& png) {
  constexpr size_t kChunk = 4096;  // the protocol's limit
  const std::string encoded = absl::Base64Escape(png);
  std::string text;
  for (size_t begin = 0; begin < encoded.size(); begin += kChunk) {
    const bool more = begin + kChunk < encoded.size();
    absl::StrAppend(&text, "\x1b_G", begin == 0 ? "a=T,f=100," : "", "m=", more ? 1 : 0, ";",
                    encoded.substr(begin, kChunk), "\x1b\\");
  }
  return text + "\n";
}

std::string ItermPicture(const std::string& png) {
  return absl::StrCat("\x1b]1337;File=inline=1;size=", png.size(), ":", absl::Base64Escape(png),
                      "\x07\n");
}

absl::StatusOr<std::string> TerminalPicture(const std::string& png, PictureStyle style,
                                            const TerminalExtent& extent) {
  if (style == PictureStyle::kNone) return std::string();
  if (style == PictureStyle::kKitty) return KittyPicture(png);
  if (style == PictureStyle::kIterm) return ItermPicture(png);
  const auto* const bytes = reinterpret_cast<const uint8_t*>(png.data());
  TESSERA_ASSIGN_OR_RETURN(const PngImage image, DecodePng(std::span(bytes, png.size())));
  return HalfBlocks(image, extent);
}

}  // namespace tessera
