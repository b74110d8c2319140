#include "worker/weights/safetensors_writer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/quote.h"
#include "common/base/status_macros.h"
#include "worker/weights/safetensors_header.h"

namespace tessera {
namespace {

constexpr size_t kDataAlignment = 64;  // bytes, from the start of the file

uint64_t ByteSize(const TensorSpec& spec) {
  uint64_t bytes = c10::elementSize(spec.type);
  for (const int64_t size : spec.shape) bytes *= static_cast<uint64_t>(size);
  return bytes;
}

std::string HeaderBytes(const std::vector<TensorSpec>& specs,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t position = 0;
  for (const TensorSpec& spec : specs) {
    const uint64_t end = position + ByteSize(spec);
    header[spec.name] = {{"dtype", SafetensorsDtype(spec.type)},
                         {"shape", spec.shape},
                         {"data_offsets", {position, end}}};
    position = end;
  }
  std::string json = header.dump();
  uint64_t size = json.size();
  size += (kDataAlignment - (sizeof(size) + size) % kDataAlignment) % kDataAlignment;
  json.resize(size, ' ');
  return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + json;
}

}  // namespace

absl::StatusOr<SafetensorsWriter> SafetensorsWriter::Create(
    const std::string& path, std::vector<TensorSpec> specs,
    const std::map<std::string, std::string>& metadata) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (fd.get() < 0) return absl::ErrnoToStatus(errno, path);
  const std::string header = HeaderBytes(specs, metadata);
  SafetensorsWriter writer(path, std::move(fd), std::move(specs));
  TESSERA_RETURN_IF_ERROR(writer.Write(header.data(), header.size()));
  return writer;
}

absl::Status SafetensorsWriter::Append(const at::Tensor& tensor) {
  if (next_ == specs_.size()) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": a tensor too many"));
  }
  const TensorSpec& spec = specs_[next_];
  if (tensor.sizes() != at::IntArrayRef(spec.shape) || tensor.scalar_type() != spec.type) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": tensor ", Quote(spec.name), " is ",
                     DescribeTensor(SafetensorsDtype(tensor.scalar_type()), tensor.sizes().vec()),
                     ", expected ", DescribeTensor(SafetensorsDtype(spec.type), spec.shape)));
  }
  ++next_;
  const at::Tensor dense = tensor.cpu().contiguous();
  return Write(dense.const_data_ptr(), dense.nbytes());
}

absl::Status SafetensorsWriter::Finish() {
  if (next_ != specs_.size()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, ": ", specs_.size() - next_, " tensors are still to be written"));
  }
  if (fsync(fd_.get()) != 0) return absl::ErrnoToStatus(errno, path_);
  fd_ = UniqueFd();
  return absl::OkStatus();
}

absl::Status SafetensorsWriter::Write(const void* data, size_t size) {
  const char* position = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t count = write(fd_.get(), position, size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, path_);
    position += count;
    size -= static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

absl::Status WriteSafetensors(const std::string& path,
                              const std::map<std::string, at::Tensor>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  std::vector<TensorSpec> specs;
  specs.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    specs.push_back({name, tensor.scalar_type(), tensor.sizes().vec()});
  }
  std::stable_sort(specs.begin(), specs.end(), [](const TensorSpec& a, const TensorSpec& b) {
    return c10::elementSize(a.type) > c10::elementSize(b.type);
  });
  TESSERA_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                           SafetensorsWriter::Create(path, specs, metadata));
  for (const TensorSpec& spec : specs) {
    TESSERA_RETURN_IF_ERROR(writer.Append(tensors.at(spec.name)));
  }
  return writer.Finish();
}

}  // namespace tessera
