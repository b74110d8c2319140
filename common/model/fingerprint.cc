#include "common/model/fingerprint.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/sha256.h"
#include "common/base/status_macros.h"
#include "common/model/checkpoint.h"

namespace tessera {
namespace {

constexpr uint64_t kMaxTextBytes = 64 << 20;  // of a config or tokenizer file
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr uint64_t kSampleBytes = 64 << 10;
constexpr uint64_t kSamples = 16;

constexpr std::array kWeightParts = {Part::kTextEncoder, Part::kTextEncoder2, Part::kTransformer,
                                     Part::kVae};

// Adds `size` bytes of a file from `offset` on.
absl::Status AddRange(const std::string& path, int fd, uint64_t offset, uint64_t size,
                      Sha256& hash) {
  std::string block;
  while (size > 0) {
    block.resize(std::min(size, kSampleBytes));
    const ssize_t count = pread(fd, block.data(), block.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, path);
    if (count == 0) return absl::DataLossError(absl::StrCat(path, ": shrank while it was read"));
    block.resize(static_cast<size_t>(count));
    hash.Add(block);
    offset += block.size();
    size -= block.size();
  }
  return absl::OkStatus();
}

absl::Status AddWeightFile(const std::string& path, Sha256& hash) {
  TESSERA_ASSIGN_OR_RETURN(const RegularFile file, OpenRegularFile(path));
  const uint64_t size = static_cast<uint64_t>(file.info.st_size);
  hash.AddField(std::to_string(size));
  if (size <= kSamples * kSampleBytes) return AddRange(path, file.fd.get(), 0, size, hash);
  uint64_t header_size = 0;
  if (pread(file.fd.get(), &header_size, sizeof(header_size), 0) != sizeof(header_size)) {
    return absl::DataLossError(absl::StrCat(path, ": cannot be read"));
  }
  // The reader of the weights judges the header; here it need only be bounded.
  header_size = std::min({header_size, kMaxHeaderBytes, size - sizeof(header_size)});
  TESSERA_RETURN_IF_ERROR(
      AddRange(path, file.fd.get(), 0, sizeof(header_size) + header_size, hash));
  for (uint64_t i = 0; i < kSamples; ++i) {
    // Divided first: no overflow, whatever the size.
    const uint64_t offset = (size - kSampleBytes) / (kSamples - 1) * i;
    TESSERA_RETURN_IF_ERROR(AddRange(path, file.fd.get(), offset, kSampleBytes, hash));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> CheckpointFingerprint(const Checkpoint& checkpoint) {
  Sha256 hash;
  for (const FileRef& file : checkpoint.SmallFiles()) {
    TESSERA_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file.path, kMaxTextBytes));
    hash.AddField(file.name);
    hash.AddField(bytes);
  }
  for (const Part part : kWeightParts) {
    TESSERA_ASSIGN_OR_RETURN(const WeightFiles weights, checkpoint.Weights(part));
    for (const FileRef& file : weights.files) {
      hash.AddField(absl::StrCat(PartName(part), "/", file.name));
      TESSERA_RETURN_IF_ERROR(AddWeightFile(file.path, hash));
    }
  }
  return hash.HexDigest(16);
}

}  // namespace tessera
