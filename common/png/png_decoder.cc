#include <png.h>

#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/png/png.h"

namespace tessera {
namespace {

constexpr png_uint_32 kMaxSide = 16384;                // pixels
constexpr png_alloc_size_t kMaxChunkBytes = 64 << 20;  // of a text chunk, inflated

// libpng reports errors by longjmp. Everything with a destructor lives in this object; the
// functions that call libpng under setjmp hold trivial locals only.
class Decoder {
 public:
  explicit Decoder(std::span<const uint8_t> png) : rest_(png) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, OnError, OnWarning);
    info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { png_destroy_read_struct(&png_, &info_, nullptr); }

  // Reads up to the pixels, and asks for 8-bit RGB.
  bool ReadHeader() {
    if (info_ == nullptr || setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_read_fn(png_, this, OnRead);
    png_set_user_limits(png_, kMaxSide, kMaxSide);
    png_set_chunk_malloc_max(png_, kMaxChunkBytes);
    png_read_info(png_, info_);
    png_set_expand(png_);
    png_set_scale_16(png_);
    png_set_gray_to_rgb(png_);
    png_set_strip_alpha(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != size_t{3} * png_get_image_width(png_, info_)) {
      png_error(png_, "not 8-bit RGB");
    }
    return true;
  }

  // `rgb` has room for height rows.
  bool ReadPixels(uint8_t* rgb) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    const size_t row_bytes = png_get_rowbytes(png_, info_);
    for (int pass = 0; pass < passes_; ++pass) {
      for (int y = 0; y < height(); ++y) {
        png_read_row(png_, rgb + static_cast<size_t>(y) * row_bytes, nullptr);
      }
    }
    png_read_end(png_, info_);
    return true;
  }

  int width() const { return static_cast<int>(png_get_image_width(png_, info_)); }
  int height() const { return static_cast<int>(png_get_image_height(png_, info_)); }
  const char* error() const { return error_; }

  PngText Text() const {
    png_textp chunks = nullptr;
    const int count = png_get_text(png_, info_, &chunks, nullptr);
    PngText text;
    for (int i = 0; i < count; ++i) {
      text.emplace_back(chunks[i].key, chunks[i].text == nullptr ? "" : chunks[i].text);
    }
    return text;
  }

 private:
  static void OnRead(png_structp png, png_bytep data, size_t size) {
    auto* self = static_cast<Decoder*>(png_get_io_ptr(png));
    if (size > self->rest_.size()) png_error(png, "truncated");
    std::memcpy(data, self->rest_.data(), size);
    self->rest_ = self->rest_.subspan(size);
  }
  static void OnError(png_structp png, png_const_charp message) {
    auto* self = static_cast<Decoder*>(png_get_error_ptr(png));
    std::snprintf(self->error_, sizeof(self->error_), "%s", message);
    png_longjmp(png, 1);
  }
  static void OnWarning(png_structp /*png*/, png_const_charp /*message*/) {}

  std::span<const uint8_t> rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int passes_ = 1;
  char error_[128] = "out of memory";
};

}  // namespace

absl::StatusOr<PngImage> DecodePng(std::span<const uint8_t> png) {
  Decoder decoder(png);
  if (!decoder.ReadHeader()) {
    return absl::InvalidArgumentError(absl::StrCat("PNG: ", decoder.error()));
  }
  PngImage image;
  image.width = decoder.width();
  image.height = decoder.height();
  image.rgb.resize(static_cast<size_t>(image.width) * static_cast<size_t>(image.height) * 3);
  if (!decoder.ReadPixels(image.rgb.data())) {
    return absl::InvalidArgumentError(absl::StrCat("PNG: ", decoder.error()));
  }
  image.text = decoder.Text();
  return image;
}

}  // namespace tessera
