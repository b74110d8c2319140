#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>

#include "common/model/model_info.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// The table of the request's fields. A new field of v1::GenerateImageRequest needs a row here:
// validation, defaults, the PNGs' text chunks and the flags of `tessera generate` follow from it.
// Beside the row a field needs only its use: a member of ImageRequest (common/job/image_request.h),
// its line in FromProto (common/wire/link_conversion.cc), and the code of the engine.

// The values that a field may have.
struct AnyValue {};  // whatever the field's type holds; of an enum, the declared values
struct ValidText {   // UTF-8 without U+0000
  std::optional<size_t> most_bytes;
};
struct WholeNumberIn {
  int64_t least;
  int64_t most;
};
struct RealNumberIn {
  double least;
  double most;
};
struct UpToModelLimit {  // from 1
  int ModelLimits::*most;
};
struct PictureSide {};  // a multiple of the model's size_multiple within its min_size and max_size
using AllowedValues =
    std::variant<AnyValue, ValidText, WholeNumberIn, RealNumberIn, UpToModelLimit, PictureSide>;

// What the server's own flags fill in where a request is silent.
struct RequestDefaults {
  int sync_steps = 1;
  int refresh_every = 0;
  v1::TextMode text_mode = v1::TEXT_MODE_SPLIT;
};

// Where defaults come from. Fields whose source is absent keep no default.
struct DefaultSources {
  const ModelDefaults* model = nullptr;
  const RequestDefaults* server = nullptr;
  std::optional<uint32_t> drawn_seed;
};

// Which of a PNG's text chunks tells the field.
enum class PngPlace {
  kNone,      // the field does not decide pixels, or is not to be told with the picture
  kSettings,  // the chunks before the number of ranks
  kSharing,   // the chunks after it, about how ranks share the work
};

struct RequestField {
  const char* name;  // as in v1::GenerateImageRequest
  AllowedValues allowed = AnyValue{};
  // A number, or the number of an enum's value. Null: the field stays absent.
  std::optional<double> (*default_value)(const DefaultSources& sources) = nullptr;
  PngPlace png_place = PngPlace::kNone;
  const char* png_keyword = "";
  const char* flag;  // of `tessera generate`, as CLI11 takes names
  const char* help;
  const char* default_in_words = nullptr;  // for the flag's help; null: the flag is required
};

// In the order in which help, violations and text chunks list them. Thread-safe.
std::span<const RequestField> RequestFields();

}  // namespace tessera
