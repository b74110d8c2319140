#include "worker/weights/mapped_file.h"

#include <sys/mman.h>

#include <cerrno>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

struct LiveFiles {
  absl::Mutex mutex;
  std::set<const MappedFile*> files ABSL_GUARDED_BY(mutex);
};

LiveFiles& Live() {
  static LiveFiles& live = *new LiveFiles;  // never destroyed: tensors may outlive static storage
  return live;
}

int64_t MtimeNs(const struct stat& info) {
  return int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  TESSERA_ASSIGN_OR_RETURN(RegularFile regular, OpenRegularFile(path));
  std::shared_ptr<MappedFile> file(new MappedFile(path, std::move(regular)));
  TESSERA_RETURN_IF_ERROR(file->Map());
  LiveFiles& live = Live();
  absl::MutexLock lock(&live.mutex);
  live.files.insert(file.get());
  return file;
}

MappedFile::MappedFile(std::string path, RegularFile file)
    : path_(std::move(path)),
      fd_(std::move(file.fd)),
      size_(static_cast<size_t>(file.info.st_size)),
      mtime_ns_(MtimeNs(file.info)) {}

MappedFile::~MappedFile() {
  {
    LiveFiles& live = Live();
    absl::MutexLock lock(&live.mutex);
    live.files.erase(this);
  }
  guard_.reset();  // before the range can belong to something else
  if (data_ != nullptr) munmap(const_cast<char*>(data_), size_);
}

absl::Status MappedFile::Map() {
  if (size_ == 0) return absl::OkStatus();
  void* data = mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd_.get(), 0);
  if (data == MAP_FAILED) return absl::ErrnoToStatus(errno, absl::StrCat(path_, ": mmap"));
  data_ = static_cast<const char*>(data);
  TESSERA_ASSIGN_OR_RETURN(guard_, FaultGuard::Protect(data_, size_));
  return absl::OkStatus();
}

absl::StatusOr<struct stat> MappedFile::Stat() const {
  struct stat info = {};
  if (fstat(fd_.get(), &info) != 0) return absl::ErrnoToStatus(errno, path_);
  return info;
}

absl::Status MappedFile::Check() const {
  if (guard_.has_value() && guard_->faulted()) {
    return absl::DataLossError(absl::StrCat(path_, ": a part could not be read while in use"));
  }
  TESSERA_ASSIGN_OR_RETURN(const struct stat info, Stat());
  if (static_cast<size_t>(info.st_size) != size_) {
    return absl::DataLossError(absl::StrCat(path_, ": changed its size from ", size_, " to ",
                                            info.st_size, " bytes while in use"));
  }
  if (MtimeNs(info) != mtime_ns_) {
    return absl::DataLossError(absl::StrCat(path_, ": was written to while in use"));
  }
  return absl::OkStatus();
}

absl::Status CheckMappedFiles() {
  LiveFiles& live = Live();
  absl::MutexLock lock(&live.mutex);
  std::string problems;
  for (const MappedFile* file : live.files) {
    const absl::Status status = file->Check();
    if (!status.ok()) absl::StrAppend(&problems, problems.empty() ? "" : "; ", status.message());
  }
  return problems.empty() ? absl::OkStatus() : absl::DataLossError(problems);
}

}  // namespace tessera
