#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/base/unique_fd.h"

namespace tessera {

struct RegularFile {
  UniqueFd fd;
  struct stat info = {};
};

// Opens an existing regular file for reading. Errors name the path; a folder, pipe or device is
// INVALID_ARGUMENT.
inline absl::StatusOr<RegularFile> OpenRegularFile(const std::string& path) {
  RegularFile file;
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  file.fd = UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd.get() < 0 || fstat(file.fd.get(), &file.info) != 0) {
    return absl::ErrnoToStatus(errno, path);
  }
  if (!S_ISREG(file.info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": expected a regular file"));
  }
  return file;
}

// The bytes of a regular file. INVALID_ARGUMENT if it is larger than max_bytes.
inline absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  absl::StatusOr<RegularFile> file = OpenRegularFile(path);
  if (!file.ok()) return file.status();
  std::string bytes;
  char block[1 << 16];
  for (;;) {
    const ssize_t count = read(file->fd.get(), block, sizeof(block));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, path);
    if (count == 0) return bytes;
    bytes.append(block, static_cast<size_t>(count));
    if (bytes.size() > max_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": larger than the limit of ", max_bytes, " bytes"));
    }
  }
}

}  // namespace tessera
