#include "tests/fuzz/fuzzed_checkpoint.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

namespace tessera::testing {
namespace fs = std::filesystem;
namespace {

const fs::path kTinyFlux = TESSERA_TINY_FLUX_DIR;

std::set<std::string> TinyFluxFiles() {
  std::set<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(kTinyFlux)) {
    if (entry.is_regular_file()) files.insert(entry.path().lexically_relative(kTinyFlux));
  }
  return files;
}

}  // namespace

FuzzedCheckpoint::FuzzedCheckpoint(const std::string& left_out) {
  dir_ = (fs::temp_directory_path() / "tessera-fuzz-XXXXXX").string();
  if (mkdtemp(dir_.data()) == nullptr) std::abort();
  for (const std::string& file : TinyFluxFiles()) {
    if (file == left_out) continue;
    const fs::path path = fs::path(dir_) / file;
    fs::create_directories(path.parent_path());
    fs::create_symlink(kTinyFlux / file, path);
  }
}

FuzzedCheckpoint::~FuzzedCheckpoint() {
  std::error_code ignored;
  fs::remove_all(dir_, ignored);
}

void FuzzedCheckpoint::Replace(const std::string& file, std::string_view bytes) {
  if (!replaced_.empty() && replaced_ != file) {
    fs::remove(fs::path(dir_) / replaced_);
    fs::create_symlink(kTinyFlux / replaced_, fs::path(dir_) / replaced_);
  }
  replaced_ = file;
  const fs::path path = fs::path(dir_) / file;
  fs::remove(path);
  std::ofstream stream(path, std::ios::binary);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!stream.flush()) std::abort();
}

std::optional<FuzzedFile> SplitInput(const uint8_t* data, size_t size) {
  static const std::set<std::string> names = TinyFluxFiles();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = input.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  FuzzedFile file{std::string(input.substr(0, end)), input.substr(end + 1)};
  if (!names.contains(file.name)) return std::nullopt;
  return file;
}

}  // namespace tessera::testing
