#include "worker/text/spiece_model.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/base/status_macros.h"

namespace tessera {
namespace {

// One field of a protobuf message in wire format.
struct Field {
  uint32_t number = 0;
  uint32_t wire_type = 0;
  uint64_t number_value = 0;  // wire types varint, fixed64, fixed32
  std::string_view bytes;     // wire type length-delimited
};

constexpr uint32_t kVarint = 0;
constexpr uint32_t kFixed64 = 1;
constexpr uint32_t kBytes = 2;
constexpr uint32_t kFixed32 = 5;

absl::Status Malformed(size_t offset) {
  return absl::InvalidArgumentError(absl::StrCat("malformed protobuf at byte ", offset));
}

class WireReader {
 public:
  // `base` is the offset of `message` in the file.
  WireReader(std::string_view message, size_t base) : message_(message), base_(base) {}

  bool done() const { return pos_ == message_.size(); }
  size_t offset() const { return base_ + pos_; }

  absl::StatusOr<Field> Next() {
    Field field;
    TESSERA_ASSIGN_OR_RETURN(const uint64_t tag, Varint());
    field.number = static_cast<uint32_t>(tag >> 3);
    field.wire_type = tag & 7;
    if (tag >> 32 != 0 || field.number == 0) return Malformed(offset());
    switch (field.wire_type) {
      case kVarint: {
        TESSERA_ASSIGN_OR_RETURN(field.number_value, Varint());
        return field;
      }
      case kFixed64: {
        TESSERA_ASSIGN_OR_RETURN(field.number_value, Fixed(8));
        return field;
      }
      case kFixed32: {
        TESSERA_ASSIGN_OR_RETURN(field.number_value, Fixed(4));
        return field;
      }
      case kBytes: {
        TESSERA_ASSIGN_OR_RETURN(const uint64_t size, Varint());
        if (size > message_.size() - pos_) return Malformed(offset());
        field.bytes = message_.substr(pos_, size);
        pos_ += size;
        return field;
      }
      default:
        return Malformed(offset());
    }
  }

 private:
  absl::StatusOr<uint64_t> Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (done()) return Malformed(offset());
      const auto byte = static_cast<unsigned char>(message_[pos_++]);
      value |= uint64_t{byte & 0x7FU} << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return Malformed(offset());
  }

  absl::StatusOr<uint64_t> Fixed(size_t size) {
    if (size > message_.size() - pos_) return Malformed(offset());
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) {
      value = value << 8 | static_cast<unsigned char>(message_[pos_ + i]);
    }
    pos_ += size;
    return value;
  }

  std::string_view message_;
  size_t base_;
  size_t pos_ = 0;
};

// Calls on_field(field, offset behind it) for every field of a message.
absl::Status ForEachField(std::string_view message, size_t base,
                          const std::function<absl::Status(const Field&, size_t)>& on_field) {
  WireReader reader(message, base);
  while (!reader.done()) {
    TESSERA_ASSIGN_OR_RETURN(const Field field, reader.Next());
    TESSERA_RETURN_IF_ERROR(on_field(field, reader.offset()));
  }
  return absl::OkStatus();
}

constexpr uint64_t kUnigramType = 1;
constexpr uint64_t kUnknownType = 2;

class ModelParser {
 public:
  absl::StatusOr<UnigramModel> Parse(std::string_view bytes) {
    TESSERA_RETURN_IF_ERROR(ForEachField(bytes, 0, [&](const Field& field, size_t end) {
      if (field.wire_type != kBytes) return absl::OkStatus();
      const size_t start = end - field.bytes.size();
      switch (field.number) {
        case 1:
          return Piece(field.bytes, start);
        case 2:
          return TrainerSpec(field.bytes, start);
        case 3:
          return NormalizerSpec(field.bytes, start);
        default:
          return absl::OkStatus();
      }
    }));
    if (model_.pieces.empty()) return absl::InvalidArgumentError("pieces: expected at least one");
    if (unknown_id_ < 0) {
      return absl::InvalidArgumentError("pieces: expected one of type UNKNOWN, found none");
    }
    model_.unknown_id = unknown_id_;
    return std::move(model_);
  }

 private:
  absl::Status Piece(std::string_view message, size_t base) {
    UnigramPiece piece;
    uint64_t type = 0;
    TESSERA_RETURN_IF_ERROR(ForEachField(message, base, [&](const Field& field, size_t) {
      if (field.number == 1 && field.wire_type == kBytes) piece.text = field.bytes;
      if (field.number == 2 && field.wire_type == kFixed32) {
        piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.number_value));
      }
      if (field.number == 3 && field.wire_type == kVarint) type = field.number_value;
      return absl::OkStatus();
    }));
    if (!std::isfinite(piece.score)) {
      return absl::InvalidArgumentError(
          absl::StrCat("pieces.", model_.pieces.size(), ".score: expected a finite number"));
    }
    if (type == kUnknownType) unknown_id_ = static_cast<int>(model_.pieces.size());
    model_.pieces.push_back(std::move(piece));
    return absl::OkStatus();
  }

  static absl::Status TrainerSpec(std::string_view message, size_t base) {
    return ForEachField(message, base, [](const Field& field, size_t) {
      if (field.number == 3 && field.wire_type == kVarint && field.number_value != kUnigramType) {
        return absl::InvalidArgumentError(absl::StrCat(
            "trainer_spec.model_type: expected 1 (UNIGRAM), found ", field.number_value));
      }
      return absl::OkStatus();
    });
  }

  absl::Status NormalizerSpec(std::string_view message, size_t base) {
    return ForEachField(message, base, [this](const Field& field, size_t) {
      if (field.number != 2 || field.wire_type != kBytes) return absl::OkStatus();
      absl::StatusOr<Charsmap> charsmap = Charsmap::Parse(field.bytes);
      if (!charsmap.ok()) {
        return absl::InvalidArgumentError(
            absl::StrCat("normalizer_spec.precompiled_charsmap: ", charsmap.status().message()));
      }
      model_.charsmap = *std::move(charsmap);
      return absl::OkStatus();
    });
  }

  UnigramModel model_;
  int unknown_id_ = -1;
};

}  // namespace

absl::StatusOr<UnigramModel> ParseSpieceModel(std::string_view bytes) {
  return ModelParser().Parse(bytes);
}

}  // namespace tessera
