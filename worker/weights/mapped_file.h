#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/file.h"
#include "worker/weights/fault_guard.h"

namespace tessera {

// A regular file mapped for reading. Reading it is safe even when the file shrinks meanwhile: what
// is lost reads as zeros, and Check() tells. Thread-safe.
class MappedFile {
 public:
  // Errors name the path: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT (not a regular file), ...
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Open(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const std::string& path() const { return path_; }
  std::string_view bytes() const { return {data_, size_}; }
  size_t size() const { return size_; }  // bytes, when it was opened
  // What the system knows of the opened file now.
  absl::StatusOr<struct stat> Stat() const;

  // DATA_LOSS, naming the file, if it has been changed or could not be read since it was opened.
  absl::Status Check() const;

 private:
  MappedFile(std::string path, RegularFile file);
  absl::Status Map();

  std::string path_;
  UniqueFd fd_;
  size_t size_ = 0;
  int64_t mtime_ns_ = 0;
  const char* data_ = nullptr;
  std::optional<FaultGuard> guard_;
};

// Checks every file that this process has mapped. DATA_LOSS naming each one that is no longer what
// was opened: nothing computed from it since may be used.
absl::Status CheckMappedFiles();

}  // namespace tessera
