#include "worker/weights/content_hash.h"

#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/random_hex.h"
#include "common/base/sha256.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kSettledNs = 2 * kSecondNs;
constexpr size_t kHashDigits = 64;

struct Record {
  std::string identity;  // of the file when the hash was taken
  bool settled = false;  // its times lay far enough back
  std::string hash;
};

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * kSecondNs + time.tv_nsec;
}

std::string IdentityOf(const struct stat& info) {
  return absl::StrCat(info.st_dev, ":", info.st_ino, ":", info.st_size, ":",
                      Nanoseconds(info.st_ctim), ":", Nanoseconds(info.st_mtim));
}

bool IsSettled(const struct stat& info) {
  const int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  return std::max(Nanoseconds(info.st_ctim), Nanoseconds(info.st_mtim)) + kSettledNs <= now;
}

std::string RecordPath(const std::string& folder, const MappedFile& file) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(file.path(), error);
  Sha256 name;
  name.AddField(error ? file.path() : path.string());
  return absl::StrCat(folder, "/", name.HexDigest(16), ".sha256");
}

// Absent, too, where the record is not ours or makes no sense.
std::optional<Record> ReadRecord(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0 || (info.st_uid != geteuid() && info.st_uid != 0)) return {};
  std::ifstream stream(path);
  std::optional<Record> record(std::in_place);
  std::string settled;
  stream >> record->identity >> settled >> record->hash;
  record->settled = settled == "settled";
  if (!stream || record->hash.size() != kHashDigits) record.reset();
  return record;
}

// Replaces the record in one step; a failure leaves the old one, which does no harm.
void WriteRecord(const std::string& path, const Record& record) {
  const std::string temporary = absl::StrCat(path, ".", RandomHex());
  {
    std::ofstream stream(temporary);
    stream << record.identity << " " << (record.settled ? "settled" : "young") << " " << record.hash
           << "\n";
    if (!stream.flush()) {
      std::remove(temporary.c_str());
      return;
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) std::remove(temporary.c_str());
}

// The file's bytes as they are now, and what was known of the file before they were read.
absl::StatusOr<Record> Hash(const MappedFile& file) {
  TESSERA_ASSIGN_OR_RETURN(const struct stat before, file.Stat());
  Record record = {IdentityOf(before), IsSettled(before), {}};
  Sha256 hash;
  hash.Add(file.bytes());
  record.hash = hash.HexDigest(kHashDigits);
  TESSERA_RETURN_IF_ERROR(file.Check());
  TESSERA_ASSIGN_OR_RETURN(const struct stat after, file.Stat());
  if (IdentityOf(after) != record.identity) {
    return absl::DataLossError(absl::StrCat(file.path(), ": was changed while it was read"));
  }
  return record;
}

bool StillHolds(const Record& record, const struct stat& now) {
  return record.settled && record.identity == IdentityOf(now);
}

}  // namespace

absl::StatusOr<std::string> ContentHashes::Of(const MappedFile& file) const {
  const std::string path = RecordPath(folder_, file);
  TESSERA_ASSIGN_OR_RETURN(const struct stat now, file.Stat());
  const std::optional<Record> known = ReadRecord(path);
  if (known.has_value() && StillHolds(*known, now)) return known->hash;
  TESSERA_ASSIGN_OR_RETURN(const Record record, Hash(file));
  WriteRecord(path, record);
  return record.hash;
}

absl::Status ContentHashes::CheckUnchanged(const MappedFile& file) const {
  const std::string path = RecordPath(folder_, file);
  TESSERA_ASSIGN_OR_RETURN(const struct stat now, file.Stat());
  const std::optional<Record> known = ReadRecord(path);
  if (!known.has_value())
    return absl::NotFoundError(absl::StrCat(file.path(), ": has no checksum"));
  if (StillHolds(*known, now)) return absl::OkStatus();
  TESSERA_ASSIGN_OR_RETURN(const Record record, Hash(file));
  if (record.hash != known->hash) {
    return absl::DataLossError(absl::StrCat(file.path(), ": differs from its checksum"));
  }
  WriteRecord(path, record);
  return absl::OkStatus();
}

}  // namespace tessera
