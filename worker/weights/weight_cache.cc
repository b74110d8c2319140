#include "worker/weights/weight_cache.h"

#include <ATen/ATen.h>
#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/sha256.h"
#include "common/base/status_macros.h"
#include "worker/weights/content_hash.h"
#include "worker/weights/safetensors_writer.h"
#include "worker/weights/stored_fp8.h"

namespace tessera {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kSourceKey[] = "tessera_source";
constexpr std::chrono::milliseconds kLockPoll(20);

std::string CanonicalPath(const SafetensorsFile& source) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(source.file().path(), error);
  return error ? source.file().path() : path.string();
}

// One conversion on its way into the cache directory.
class CacheFile {
 public:
  // Reads the sources where their content is not known yet.
  static absl::StatusOr<CacheFile> For(const Conversion& conversion) {
    CacheFile file(conversion);
    Sha256 content;
    for (const SafetensorsFile& source : conversion.sources) {
      TESSERA_ASSIGN_OR_RETURN(const std::string hash, file.hashes_.Of(source.file()));
      content.AddField(hash);
    }
    file.source_ = content.HexDigest(64);
    return file;
  }

  explicit CacheFile(const Conversion& conversion)
      : conversion_(conversion), hashes_(conversion.cache_dir) {
    Sha256 place;  // the same for all versions of these sources: a new one replaces the old
    for (const SafetensorsFile& file : conversion.sources) {
      place.AddField(CanonicalPath(file));
      for (const auto& [name, entry] : file.tensors()) {
        if (NeedsConversion(entry, conversion)) {
          specs_.push_back({name, conversion.dtype, entry.shape});
          bytes_ += static_cast<int64_t>(entry.end - entry.begin);
        }
      }
    }
    path_ = absl::StrCat(conversion.cache_dir, "/", conversion.part, "-", place.HexDigest(16), ".",
                         absl::AsciiStrToLower(SafetensorsDtype(conversion.dtype)), ".safetensors");
  }

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
    TESSERA_RETURN_IF_ERROR(hashes_.CheckUnchanged(file.file()));
    return file;
  }

  // Under the lock: converts, and puts the file in place.
  absl::Status Make() const {
    const std::string partial = PartialPath();
    const auto remove_partial = absl::MakeCleanup([&] { unlink(partial.c_str()); });
    TESSERA_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                             SafetensorsWriter::Create(partial, specs_, {{kSourceKey, source_}}));
    LoadMeter meter(conversion_.part, bytes_, conversion_.on_progress);
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
    TESSERA_ASSIGN_OR_RETURN(const SafetensorsFile made, SafetensorsFile::Open(path_));
    return hashes_.Of(made.file()).status();  // what it has to be from now on
  }

  // Waits for the lock, which the descriptor holds until it is closed. Whoever holds it writes the
  // partial file: DEADLINE_EXCEEDED if that file does not grow for as long as the conversion waits.
  absl::StatusOr<UniqueFd> Lock() const {
    const std::string path = absl::StrCat(path_, ".lock");
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (fd.get() < 0) return absl::ErrnoToStatus(errno, path);
    int64_t seen_bytes = -1;
    auto seen_at = Clock::now();
    while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return absl::ErrnoToStatus(errno, path);
      struct stat partial = {};
      const int64_t bytes =
          stat(PartialPath().c_str(), &partial) == 0 ? int64_t{partial.st_size} : -1;
      if (bytes != seen_bytes) {
        seen_bytes = bytes;
        seen_at = Clock::now();
      } else if (Clock::now() - seen_at > conversion_.lock_patience) {
        return absl::DeadlineExceededError(
            absl::StrCat(path, ": is locked by a process that does not write ", PartialPath()));
      }
      std::this_thread::sleep_for(kLockPoll);
    }
    return fd;
  }

 private:
  std::string PartialPath() const { return absl::StrCat(path_, ".partial"); }

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
  ContentHashes hashes_;
  std::vector<TensorSpec> specs_;
  int64_t bytes_ = 0;   // of them, as stored
  std::string source_;  // what identifies the sources' content
  std::string path_;
};

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
  std::error_code error;
  std::filesystem::create_directories(conversion.cache_dir, error);
  if (error) return absl::ErrnoToStatus(error.value(), conversion.cache_dir);
  TESSERA_ASSIGN_OR_RETURN(const CacheFile cache, CacheFile::For(conversion));
  absl::StatusOr<SafetensorsFile> file = cache.OpenFinished();
  if (file.ok()) return file;
  TESSERA_ASSIGN_OR_RETURN(const UniqueFd lock, cache.Lock());
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
