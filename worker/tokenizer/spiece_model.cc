#include "worker/tokenizer/spiece_model.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/tokenizer/wire_format.h"

namespace tessera {
namespace {

constexpr uint64_t kUnigramType = 1;
constexpr uint64_t kUnknownType = 2;

class ModelParser {
 public:
  absl::StatusOr<UnigramModel> Parse(std::string_view bytes) {
    TESSERA_RETURN_IF_ERROR(ForEachField(bytes, 0, [&](const WireField& field) {
      if (field.type != WireType::kBytes) return absl::OkStatus();
      const size_t start = field.end - field.bytes.size();
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
  absl::Status Piece(std::string_view message, size_t offset) {
    UnigramPiece piece;
    uint64_t type = 0;
    TESSERA_RETURN_IF_ERROR(ForEachField(message, offset, [&](const WireField& field) {
      if (field.number == 1 && field.type == WireType::kBytes) piece.text = field.bytes;
      if (field.number == 2 && field.type == WireType::kFixed32) {
        piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
      }
      if (field.number == 3 && field.type == WireType::kVarint) type = field.value;
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

  static absl::Status TrainerSpec(std::string_view message, size_t offset) {
    return ForEachField(message, offset, [](const WireField& field) {
      if (field.number == 3 && field.type == WireType::kVarint && field.value != kUnigramType) {
        return absl::InvalidArgumentError(
            absl::StrCat("trainer_spec.model_type: expected 1 (UNIGRAM), found ", field.value));
      }
      return absl::OkStatus();
    });
  }

  absl::Status NormalizerSpec(std::string_view message, size_t offset) {
    return ForEachField(message, offset, [this](const WireField& field) {
      if (field.number != 2 || field.type != WireType::kBytes) return absl::OkStatus();
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
