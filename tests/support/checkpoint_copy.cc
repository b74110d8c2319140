#include <ATen/ATen.h>
#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "common/base/file.h"
#include "tests/support/golden.h"
#include "worker/weights/safetensors_file.h"
#include "worker/weights/safetensors_writer.h"

namespace tessera::testing {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void End(const std::string& message) {
  std::fprintf(stderr, "CheckpointCopy: %s\n", message.c_str());
  std::abort();
}

// The file of a part that holds a tensor.
std::string FindTensor(const fs::path& part, const std::string& tensor) {
  for (const fs::directory_entry& entry : fs::directory_iterator(part)) {
    if (entry.path().extension() != ".safetensors") continue;
    const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(entry.path().string());
    if (file.ok() && file->tensors().count(tensor) != 0) return entry.path().string();
  }
  End("no tensor " + tensor + " in " + part.string());
}

}  // namespace

CheckpointCopy::CheckpointCopy() { fs::copy(TinyFluxDir(), dir(), fs::copy_options::recursive); }

void CheckpointCopy::AlterTensor(const std::string& part, const std::string& tensor) const {
  const std::string path = FindTensor(fs::path(dir()) / part, tensor);
  at::Tensor altered;
  uint64_t begin = 0;
  {
    const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
    const absl::StatusOr<at::Tensor> value = file->Read(tensor);
    if (!value.ok()) End(value.status().ToString());
    altered = value->clone();
    altered.flatten().narrow(0, 0, (altered.numel() + 1) / 2).add_(0.5);
    begin = file->tensors().at(tensor).begin;
  }
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.get() < 0 || pwrite(fd.get(), altered.const_data_ptr(), altered.nbytes(),
                             static_cast<off_t>(begin)) != static_cast<ssize_t>(altered.nbytes())) {
    End("cannot write " + path);
  }
}

void CheckpointCopy::RemoveTensors(const std::string& part, const std::string& prefix) const {
  const fs::path folder = fs::path(dir()) / part;
  std::map<std::string, at::Tensor> kept;
  std::vector<fs::path> old;
  std::string stem = "model";
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.find(".safetensors") == std::string::npos) continue;
    old.push_back(entry.path());
    if (name.rfind("diffusion_pytorch_model", 0) == 0) stem = "diffusion_pytorch_model";
    if (entry.path().extension() != ".safetensors") continue;
    const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(entry.path().string());
    for (const auto& [tensor, info] : file->tensors()) {
      if (tensor.rfind(prefix, 0) != 0) kept[tensor] = *file->Read(tensor);
    }
  }
  for (const fs::path& path : old) fs::remove(path);  // mapped files stay readable
  const absl::Status written = WriteSafetensors((folder / (stem + ".safetensors")).string(), kept);
  if (!written.ok()) End(written.ToString());
}

void CheckpointCopy::EditJson(const std::string& file, const std::string& fields) const {
  const std::string path = dir() + "/" + file;
  nlohmann::json value = nlohmann::json::object();
  if (fs::exists(path)) value = nlohmann::json::parse(std::ifstream(path));
  value.update(nlohmann::json::parse(fields));
  std::ofstream(path) << value.dump(2);
}

}  // namespace tessera::testing
