#include <png.h>
#include <zlib.h>

#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <exception>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/quote.h"
#include "common/base/status_macros.h"
#include "common/png/png.h"

namespace tessera {
namespace {

// libpng reports errors by longjmp. Everything with a destructor lives in this object; the
// functions that call libpng under setjmp hold trivial locals only.
class Encoder {
 public:
  explicit Encoder(const PngText& text) {
    for (const auto& [keyword, value] : text) {
      bool ascii = true;
      for (const char c : value) ascii = ascii && static_cast<unsigned char>(c) < 0x80;
      png_text chunk = {};
      chunk.compression = ascii ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
      chunk.key = const_cast<char*>(keyword.c_str());
      chunk.text = const_cast<char*>(value.c_str());
      (ascii ? chunk.text_length : chunk.itxt_length) = value.size();
      chunk.lang = const_cast<char*>("");
      chunk.lang_key = const_cast<char*>("");
      chunks_.push_back(chunk);
    }
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, this, OnError, OnWarning);
    info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  ~Encoder() { png_destroy_write_struct(&png_, &info_); }

  bool Encode(const uint8_t* rgb, int width, int height) {
    if (info_ == nullptr || setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_write_fn(png_, this, OnWrite, OnFlush);
    png_set_filter(png_, PNG_FILTER_TYPE_BASE, PNG_FILTER_PAETH);
    png_set_compression_strategy(png_, Z_RLE);
    png_set_IHDR(png_, info_, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_text(png_, info_, chunks_.data(), static_cast<int>(chunks_.size()));
    png_write_info(png_, info_);
    for (int y = 0; y < height; ++y) {
      png_write_row(png_, rgb + static_cast<size_t>(y) * static_cast<size_t>(width) * 3);
    }
    png_write_end(png_, nullptr);
    return true;
  }

  const char* error() const { return error_; }
  std::string TakeBytes() { return std::move(bytes_); }

 private:
  static void OnWrite(png_structp png, png_bytep data, size_t size) {
    auto* self = static_cast<Encoder*>(png_get_io_ptr(png));
    bool written = false;
    try {
      self->bytes_.append(reinterpret_cast<const char*>(data), size);
      written = true;
    } catch (const std::exception&) {  // must not pass through libpng's frames
    }
    if (!written) png_error(png, "out of memory");
  }
  static void OnFlush(png_structp /*png*/) {}
  static void OnError(png_structp png, png_const_charp message) {
    auto* self = static_cast<Encoder*>(png_get_error_ptr(png));
    std::snprintf(self->error_, sizeof(self->error_), "%s", message);
    png_longjmp(png, 1);
  }
  static void OnWarning(png_structp /*png*/, png_const_charp /*message*/) {}

  std::vector<png_text> chunks_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::string bytes_;
  char error_[128] = "out of memory";
};

absl::Status CheckText(const PngText& text) {
  for (const auto& [keyword, value] : text) {
    bool printable = true;
    for (const char c : keyword) printable = printable && c >= 0x20 && c < 0x7f;
    if (keyword.empty() || keyword.size() > 79 || !printable || keyword.front() == ' ' ||
        keyword.back() == ' ') {
      return absl::InvalidArgumentError(
          absl::StrCat("PNG keyword ", Quote(keyword), ": expected 1 to 79 printable characters"));
    }
    if (value.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat("PNG text ", Quote(keyword), ": holds a NUL"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> EncodePng(std::span<const uint8_t> rgb, int width, int height,
                                      const PngText& text) {
  if (width < 1 || height < 1 ||
      rgb.size() != static_cast<size_t>(width) * static_cast<size_t>(height) * 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("PNG of ", width, "x", height, ": found ", rgb.size(), " bytes of RGB"));
  }
  TESSERA_RETURN_IF_ERROR(CheckText(text));
  Encoder encoder(text);
  if (!encoder.Encode(rgb.data(), width, height)) {
    return absl::InternalError(absl::StrCat("PNG encoder: ", encoder.error()));
  }
  return encoder.TakeBytes();
}

}  // namespace tessera
