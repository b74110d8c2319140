#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "worker/weights/mapped_file.h"

namespace tessera {

// SHA-256 of the bytes of files, 64 hex digits each, with a memory in a folder, since hashing a
// large checkpoint takes seconds. A remembered hash counts only while the file is certainly the
// same: device, inode, size, and the times of its last change of content and of its entry are those
// of then, and both times lay two seconds back when the hash was taken (a clock ticks too coarsely
// to tell two changes within one tick apart). Thread-safe, also between processes.
class ContentHashes {
 public:
  // What cannot be remembered in `folder` is computed again each time.
  explicit ContentHashes(std::string folder) : folder_(std::move(folder)) {}

  // DATA_LOSS if the file was changed while it was read.
  absl::StatusOr<std::string> Of(const MappedFile& file) const;

  // OK if the file still has the bytes that it had at its last Of; DATA_LOSS if it has
  // others, NOT_FOUND if it was never hashed.
  absl::Status CheckUnchanged(const MappedFile& file) const;

 private:
  std::string folder_;
};

}  // namespace tessera
