#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/weights/mapped_file.h"
#include "worker/weights/safetensors_header.h"

namespace tessera {

// A mapped safetensors file. Copies share the mapping. Thread-safe.
class SafetensorsFile {
 public:
  // Errors name the path: NOT_FOUND, INVALID_ARGUMENT (hostile or malformed, as
  // ParseSafetensorsHeader), DATA_LOSS (truncated, or changed while it was read).
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  const std::map<std::string, TensorEntry>& tensors() const { return header_->tensors; }
  const std::map<std::string, std::string>& metadata() const { return header_->metadata; }
  const MappedFile& file() const { return *file_; }

  // A view of the mapped file that keeps the mapping alive; it must not be written to. (A copy
  // where the data is not aligned to its element size, or BOOL.) NOT_FOUND; INVALID_ARGUMENT for a
  // dtype that this library does not know.
  absl::StatusOr<at::Tensor> Read(const std::string& name) const;

 private:
  SafetensorsFile(std::shared_ptr<const MappedFile> file, SafetensorsHeader header);

  std::shared_ptr<const MappedFile> file_;
  std::shared_ptr<const SafetensorsHeader> header_;
};

}  // namespace tessera
