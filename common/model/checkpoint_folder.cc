#include "common/model/checkpoint_folder.h"

#include <array>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/file.h"
#include "common/base/quote.h"
#include "common/base/status_macros.h"
#include "common/model/json_file.h"
#include "common/model/weight_files.h"

namespace tessera {
namespace {

constexpr char kModelIndex[] = "model_index.json";
constexpr char kOverrides[] = "tessera.json";
// Published tokenizer files stay below 3 MB.
constexpr size_t kMaxTokenizerFileBytes = 64 << 20;

// In the order of the enum, which is that of their names.
constexpr std::array kTokenizerFiles = {
    "added_tokens.json", "merges.txt",     "special_tokens_map.json",
    "spiece.model",      "tokenizer.json", "tokenizer_config.json",
    "vocab.json"};

bool IsTokenizer(Part part) { return part == Part::kTokenizer || part == Part::kTokenizer2; }

// Relative to the checkpoint.
std::string ConfigName(Part part) {
  return absl::StrCat(PartName(part),
                      part == Part::kScheduler ? "/scheduler_config.json" : "/config.json");
}

// The one class of a part that the engine implements; null where the files decide.
const char* ClassName(Part part) {
  switch (part) {
    case Part::kScheduler:
      return "FlowMatchEulerDiscreteScheduler";
    case Part::kTextEncoder:
      return "CLIPTextModel";
    case Part::kTextEncoder2:
      return "T5EncoderModel";
    case Part::kTransformer:
      return "FluxTransformer2DModel";
    case Part::kVae:
      return "AutoencoderKL";
    case Part::kTokenizer:
    case Part::kTokenizer2:
      break;
  }
  return nullptr;
}

// The string at a key; null when there is none.
const std::string* StringAt(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

void CheckPart(const nlohmann::json& index, Part part, std::vector<std::string>& problems) {
  const auto found = index.find(PartName(part));
  const bool present = found != index.end() && found->is_array() && found->size() == 2 &&
                       (*found)[0].is_string() && (*found)[1].is_string();
  if (!present) {
    problems.push_back(absl::StrCat(PartName(part), ": expected [\"<library>\", \"<class>\"]"));
    return;
  }
  const std::string& class_name = (*found)[1].get_ref<const std::string&>();
  const char* expected = ClassName(part);
  if (expected != nullptr && class_name != expected) {
    problems.push_back(absl::StrCat(PartName(part), ": expected the class ", expected, ", found ",
                                    Quote(class_name)));
  }
}

absl::StatusOr<JsonFile> ReadJson(std::string path) {
  TESSERA_ASSIGN_OR_RETURN(nlohmann::json object, ReadJsonFile(path));
  return JsonFile{std::move(path), std::move(object)};
}

}  // namespace

absl::Status CheckpointFolder::CheckIndex() const {
  TESSERA_ASSIGN_OR_RETURN(const JsonFile index, ReadJson(absl::StrCat(path_, "/", kModelIndex)));
  std::vector<std::string> problems;
  const std::string* class_name = StringAt(index.object, "_class_name");
  if (class_name == nullptr || *class_name != "FluxPipeline") {
    problems.push_back(absl::StrCat("_class_name: expected \"FluxPipeline\"",
                                    class_name == nullptr ? "" : ", found ",
                                    class_name == nullptr ? "" : Quote(*class_name)));
  }
  for (const Part part : kAllParts) CheckPart(index.object, part, problems);
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(index.path, ": ", absl::StrJoin(problems, "; ")));
}

std::string CheckpointFolder::name() const {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(path_, error);
  return error ? path_ : path.filename().string();
}

std::string CheckpointFolder::Place(Part part) const {
  return absl::StrCat(path_, "/", PartName(part));
}

absl::StatusOr<JsonFile> CheckpointFolder::Config(Part part) const {
  return ReadJson(absl::StrCat(path_, "/", ConfigName(part)));
}

absl::StatusOr<JsonFile> CheckpointFolder::Overrides() const {
  return ReadJson(absl::StrCat(path_, "/", kOverrides));
}

absl::StatusOr<FileBytes> CheckpointFolder::Read(Part part, TokenizerFile file) const {
  std::string path = absl::StrCat(Place(part), "/", kTokenizerFiles[static_cast<size_t>(file)]);
  TESSERA_ASSIGN_OR_RETURN(std::string bytes, ReadFile(path, kMaxTokenizerFileBytes));
  return FileBytes{std::move(path), std::move(bytes)};
}

absl::StatusOr<WeightFiles> CheckpointFolder::Weights(Part part) const {
  // diffusers reads the transformer and the VAE, and transformers the encoders.
  if (part == Part::kTransformer || part == Part::kVae) {
    return FindWeightFiles(Place(part), "diffusion_pytorch_model", Precedence::kIndex);
  }
  return FindWeightFiles(Place(part), "model", Precedence::kSingleFile);
}

std::vector<FileRef> CheckpointFolder::SmallFiles() const {
  std::vector<FileRef> files;
  const auto add = [&](const std::string& name) {
    std::string path = absl::StrCat(path_, "/", name);
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) files.push_back({name, std::move(path)});
  };
  add(kModelIndex);
  for (const Part part : kAllParts) {
    if (!IsTokenizer(part)) {
      add(ConfigName(part));
      continue;
    }
    for (const char* file : kTokenizerFiles) add(absl::StrCat(PartName(part), "/", file));
  }
  return files;
}

}  // namespace tessera
