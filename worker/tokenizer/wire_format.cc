#include "worker/tokenizer/wire_format.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

class WireReader {
 public:
  WireReader(std::string_view message, size_t offset) : message_(message), offset_(offset) {}

  bool done() const { return pos_ == message_.size(); }
  absl::StatusOr<WireField> Next();

 private:
  absl::StatusOr<uint64_t> Varint();
  absl::StatusOr<uint64_t> Fixed(size_t size);
  absl::StatusOr<std::string_view> Bytes();
  absl::Status Malformed() const;

  std::string_view message_;
  size_t offset_;
  size_t pos_ = 0;
};

absl::StatusOr<WireField> WireReader::Next() {
  TESSERA_ASSIGN_OR_RETURN(const uint64_t tag, Varint());
  WireField field;
  field.number = static_cast<uint32_t>(tag >> 3);
  field.type = static_cast<WireType>(tag & 7);
  if (tag >> 32 != 0 || field.number == 0) return Malformed();
  switch (field.type) {
    case WireType::kVarint: {
      TESSERA_ASSIGN_OR_RETURN(field.value, Varint());
      break;
    }
    case WireType::kFixed64: {
      TESSERA_ASSIGN_OR_RETURN(field.value, Fixed(8));
      break;
    }
    case WireType::kFixed32: {
      TESSERA_ASSIGN_OR_RETURN(field.value, Fixed(4));
      break;
    }
    case WireType::kBytes: {
      TESSERA_ASSIGN_OR_RETURN(field.bytes, Bytes());
      break;
    }
    default:
      return Malformed();
  }
  field.end = offset_ + pos_;
  return field;
}

absl::StatusOr<uint64_t> WireReader::Varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (done()) return Malformed();
    const auto byte = static_cast<unsigned char>(message_[pos_++]);
    value |= uint64_t{byte & 0x7FU} << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return Malformed();
}

absl::StatusOr<uint64_t> WireReader::Fixed(size_t size) {
  if (size > message_.size() - pos_) return Malformed();
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(message_[pos_ + i]);
  }
  pos_ += size;
  return value;
}

absl::StatusOr<std::string_view> WireReader::Bytes() {
  TESSERA_ASSIGN_OR_RETURN(const uint64_t size, Varint());
  if (size > message_.size() - pos_) return Malformed();
  pos_ += size;
  return message_.substr(pos_ - size, size);
}

absl::Status WireReader::Malformed() const {
  return absl::InvalidArgumentError(absl::StrCat("malformed protobuf at byte ", offset_ + pos_));
}

}  // namespace

absl::Status ForEachField(std::string_view message, size_t offset,
                          const std::function<absl::Status(const WireField&)>& on_field) {
  WireReader reader(message, offset);
  while (!reader.done()) {
    TESSERA_ASSIGN_OR_RETURN(const WireField field, reader.Next());
    TESSERA_RETURN_IF_ERROR(on_field(field));
  }
  return absl::OkStatus();
}

}  // namespace tessera
