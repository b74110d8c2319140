#include "client/output_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/unique_fd.h"

namespace tessera {
namespace {

absl::Status WriteAll(int fd, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = write(fd, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, "write");
    done += static_cast<size_t>(count);
  }
  // Some file systems tell of a full disk only now.
  return fsync(fd) == 0 || errno == EINVAL ? absl::OkStatus() : absl::ErrnoToStatus(errno, "fsync");
}

absl::Status Named(const std::string& path, const absl::Status& status) {
  return {status.code(), absl::StrCat(path, ": ", std::string(status.message()))};
}

}  // namespace

std::vector<std::string> OutputPaths(const std::string& output, size_t count) {
  if (count == 1) return {output};
  const std::filesystem::path path(output);
  std::vector<std::string> paths;
  for (size_t i = 0; i < count; ++i) {
    std::filesystem::path numbered = path;
    numbered.replace_filename(
        absl::StrCat(path.stem().string(), "-", i, path.extension().string()));
    paths.push_back(numbered);
  }
  return paths;
}

absl::Status WriteFileAtomically(const std::string& path, const std::string& bytes) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": expected a regular file or none"));
  }
  const std::string temporary = absl::StrCat(path, ".", getpid(), ".part");
  const UniqueFd file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) return Named(path, absl::ErrnoToStatus(errno, "open"));
  absl::Status status = WriteAll(file.get(), bytes);
  if (status.ok() && std::rename(temporary.c_str(), path.c_str()) != 0) {
    status = absl::ErrnoToStatus(errno, "rename");
  }
  if (status.ok()) return status;
  unlink(temporary.c_str());
  return Named(path, status);
}

}  // namespace tessera
