#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/file.h"

namespace tessera {

struct TensorSpec {
  std::string name;
  at::ScalarType type = at::kFloat;
  std::vector<int64_t> shape;
};

// Writes a safetensors file tensor by tensor, so that no more than one need be in memory. Errors
// name the path.
class SafetensorsWriter {
 public:
  // Creates or empties the file (mode 0644) and writes the header for these tensors.
  static absl::StatusOr<SafetensorsWriter> Create(
      const std::string& path, std::vector<TensorSpec> specs,
      const std::map<std::string, std::string>& metadata);

  // The next tensor, in the order of the specs. INVALID_ARGUMENT if it is not as its spec says.
  absl::Status Append(const at::Tensor& tensor);

  // Makes the file durable. FAILED_PRECONDITION if tensors are still due. Nothing may follow.
  absl::Status Finish();

 private:
  SafetensorsWriter(std::string path, UniqueFd fd, std::vector<TensorSpec> specs)
      : path_(std::move(path)), fd_(std::move(fd)), specs_(std::move(specs)) {}
  absl::Status Write(const void* data, size_t size);

  std::string path_;
  UniqueFd fd_;
  std::vector<TensorSpec> specs_;
  size_t next_ = 0;
};

// Writes all of `tensors`, wide types first, so that each is aligned to its element size.
absl::Status WriteSafetensors(const std::string& path,
                              const std::map<std::string, at::Tensor>& tensors,
                              const std::map<std::string, std::string>& metadata = {});

}  // namespace tessera
