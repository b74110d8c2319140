#include "worker/weights/weight_cache.h"

#include <ATen/ATen.h>
#include <sys/file.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/sha256.h"
#include "common/base/status_macros.h"
#include "worker/weights/safetensors_writer.h"
#include "worker/weights/stored_fp8.h"

namespace tessera {
namespace {

constexpr char kSourceKey[] = "tessera_source";

std::string CanonicalPath(const SafetensorsFile& source) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(source.file().path(), error);
  return error ? source.file().path() : path.string();
}

// One conversion on its way into the cache directory.
class CacheFile {
 public:
  explicit CacheFile(const Conversion& conversion) : conversion_(conversion) {
    Sha256 place;  // the same for all versions of these sources: a new one replaces the old
    Sha256 source;
    for (const SafetensorsFile& file : conversion.sources) {
      place.AddField(CanonicalPath(file));
      source.AddField(CanonicalPath(file));
      source.AddField(absl::StrCat(file.file().size(), " ", file.file().mtime_ns()));
      for (const auto& [name, entry] : file.tensors()) {
        if (NeedsConversion(entry, conversion)) {
          specs_.push_back({name, conversion.dtype, entry.shape});
          bytes_ += static_cast<int64_t>(entry.end - entry.begin);
        }
      }
    }
    source_ = source.HexDigest(64);
    part_ = std::filesystem::path(conversion.sources.front().file().path())
                .parent_path()
                .filename()
                .string();
    path_ = absl::StrCat(conversion.cache_dir, "/", part_, "-", place.HexDigest(16), ".",
                         absl::AsciiStrToLower(SafetensorsDtype(conversion.dtype)), ".safetensors");
  }

  const std::string& path() const { return path_; }

  // The finished file; NOT_FOUND, or any other error if it is not what these sources give.
  absl::StatusOr<SafetensorsFile> OpenFinished() const {
    TESSERA_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::Open(path_));
    TESSERA_ASSIGN_OR_RETURN(const RegularFile opened, OpenRegularFile(path_));
    // In a temporary directory anybody may put a file under our name.
    if (opened.info.st_uid != geteuid() && opened.info.st_uid != 0) {
      return absl::PermissionDeniedError(absl::StrCat(path_, ": belongs to another user"));
    }
    const auto source = file.metadata().find(kSourceKey);
    bool matches = source != file.metadata().end() && source->second == source_;
    for (const TensorSpec& spec : specs_) {
      const auto found = file.tensors().find(spec.name);
      matches = matches && found != file.tensors().end() && found->second.type == spec.type &&
                found->second.shape == spec.shape;
    }
    if (!matches) return absl::FailedPreconditionError(absl::StrCat(path_, ": of other sources"));
    return file;
  }

  // Under the lock: converts, and puts the file in place.
  absl::Status Make() const {
    const std::string partial = absl::StrCat(path_, ".partial");
    const auto remove_partial = absl::MakeCleanup([&] { unlink(partial.c_str()); });
    TESSERA_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                             SafetensorsWriter::Create(partial, specs_, {{kSourceKey, source_}}));
    LoadMeter meter(part_, bytes_, conversion_.on_progress);
    for (const SafetensorsFile& source : conversion_.sources) {
      for (const auto& [name, entry] : source.tensors()) {
        if (!NeedsConversion(entry, conversion_)) continue;
        TESSERA_ASSIGN_OR_RETURN(const at::Tensor tensor, Converted(source, name, entry));
        TESSERA_RETURN_IF_ERROR(writer.Append(tensor));
        meter.Add(static_cast<int64_t>(entry.end - entry.begin));
      }
      TESSERA_RETURN_IF_ERROR(source.file().Check());
    }
    TESSERA_RETURN_IF_ERROR(writer.Finish());
    if (rename(partial.c_str(), path_.c_str()) != 0) return absl::ErrnoToStatus(errno, path_);
    const UniqueFd folder(open(conversion_.cache_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.get() < 0 || fsync(folder.get()) != 0) {
      return absl::ErrnoToStatus(errno, conversion_.cache_dir);
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<at::Tensor> Converted(const SafetensorsFile& source, const std::string& name,
                                       const TensorEntry& entry) const {
    if (IsStoredFp8(entry)) {
      TESSERA_ASSIGN_OR_RETURN(const Fp8Rows rows, ReadFp8(conversion_.sources, name));
      return Dequantized(rows).to(conversion_.dtype).view(entry.shape);
    }
    TESSERA_ASSIGN_OR_RETURN(const at::Tensor tensor, source.Read(name));
    return tensor.to(conversion_.dtype);
  }

  const Conversion& conversion_;
  std::vector<TensorSpec> specs_;
  int64_t bytes_ = 0;   // of them, as stored
  std::string part_;    // of the checkpoint
  std::string source_;  // what identifies the sources' content
  std::string path_;
};

// Waits for the lock, which the descriptor holds until it is closed.
absl::StatusOr<UniqueFd> Lock(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, path);
  while (flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return absl::ErrnoToStatus(errno, path);
  }
  return fd;
}

}  // namespace

bool IsWeightType(const TensorEntry& entry) {
  return entry.type == at::kFloat || entry.type == at::kHalf || entry.type == at::kBFloat16 ||
         IsStoredFp8(entry);
}

bool NeedsConversion(const TensorEntry& entry, const Conversion& conversion) {
  const bool stays = IsStoredFp8(entry) && conversion.stored_fp8 == StoredFp8::kKeep;
  return IsWeightType(entry) && *entry.type != conversion.dtype && !stays;
}

absl::StatusOr<SafetensorsFile> OpenConverted(const Conversion& conversion) {
  const CacheFile cache(conversion);
  absl::StatusOr<SafetensorsFile> file = cache.OpenFinished();
  if (file.ok()) return file;
  std::error_code error;
  std::filesystem::create_directories(conversion.cache_dir, error);
  if (error) return absl::ErrnoToStatus(error.value(), conversion.cache_dir);
  TESSERA_ASSIGN_OR_RETURN(const UniqueFd lock, Lock(absl::StrCat(cache.path(), ".lock")));
  file = cache.OpenFinished();  // made by another process while this one waited?
  if (file.ok()) return file;
  TESSERA_RETURN_IF_ERROR(cache.Make());
  return cache.OpenFinished();
}

std::string DefaultCacheDir() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  if (std::string dir = variable("TESSERA_CACHE_DIR"); !dir.empty()) return dir;
  if (std::string dir = variable("XDG_CACHE_HOME"); !dir.empty()) return dir + "/tessera";
  if (std::string dir = variable("HOME"); !dir.empty()) return dir + "/.cache/tessera";
  std::error_code error;
  std::string dir = std::filesystem::temp_directory_path(error).string();
  return absl::StrCat(error ? "/tmp" : dir, "/tessera-", geteuid());
}

}  // namespace tessera
