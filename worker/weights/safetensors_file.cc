#include "worker/weights/safetensors_file.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/quote.h"
#include "common/base/status_macros.h"

namespace tessera {

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  TESSERA_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  absl::StatusOr<SafetensorsHeader> header = ParseSafetensorsHeader(file->bytes());
  TESSERA_RETURN_IF_ERROR(file->Check());  // or the header may be half zeros
  if (!header.ok()) {
    return absl::Status(header.status().code(),
                        absl::StrCat(path, ": ", std::string(header.status().message())));
  }
  return SafetensorsFile(std::move(file), *std::move(header));
}

SafetensorsFile::SafetensorsFile(std::shared_ptr<const MappedFile> file, SafetensorsHeader header)
    : file_(std::move(file)),
      header_(std::make_shared<const SafetensorsHeader>(std::move(header))) {}

absl::StatusOr<at::Tensor> SafetensorsFile::Read(const std::string& name) const {
  const auto found = tensors().find(name);
  if (found == tensors().end()) {
    return absl::NotFoundError(absl::StrCat(file_->path(), ": no tensor ", Quote(name)));
  }
  const TensorEntry& entry = found->second;
  if (!entry.type.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(file_->path(), ": tensor ", Quote(name),
                                                   " has the unknown dtype ", Quote(entry.dtype)));
  }
  const at::TensorOptions options(*entry.type);
  if (entry.begin == entry.end) return at::empty(entry.shape, options);
  char* data = const_cast<char*>(file_->bytes().data()) + entry.begin;
  if (*entry.type == at::kBool) {  // a bool that is neither 0 nor 1 must not exist
    return at::from_blob(data, entry.shape, at::kByte).ne(0);
  }
  if (reinterpret_cast<uintptr_t>(data) % c10::elementSize(*entry.type) != 0) {
    at::Tensor copy = at::empty(entry.shape, options);
    std::memcpy(copy.data_ptr(), data, entry.end - entry.begin);
    return copy;
  }
  return at::from_blob(
      data, entry.shape, [file = file_](void*) {}, options);
}

}  // namespace tessera
