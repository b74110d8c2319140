#include "common/model/model_info.h"

#include <array>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/quote.h"
#include "common/base/status_macros.h"
#include "common/model/fingerprint.h"
#include "common/model/json_file.h"
#include "common/model/model_overrides.h"

namespace tessera {
namespace {

constexpr size_t kMaxVaeLevels = 8;

// The parts of a FLUX pipeline, and the one class of each that the engine implements (null: the
// files decide).
struct Part {
  const char* name;
  const char* class_name;
};
constexpr std::array<Part, 7> kParts = {{{"scheduler", "FlowMatchEulerDiscreteScheduler"},
                                         {"text_encoder", "CLIPTextModel"},
                                         {"text_encoder_2", "T5EncoderModel"},
                                         {"tokenizer", nullptr},
                                         {"tokenizer_2", nullptr},
                                         {"transformer", "FluxTransformer2DModel"},
                                         {"vae", "AutoencoderKL"}}};

// The string at a key; null when there is none.
const std::string* StringAt(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

void CheckPart(const nlohmann::json& index, const Part& part, std::vector<std::string>& problems) {
  const auto found = index.find(part.name);
  const bool present = found != index.end() && found->is_array() && found->size() == 2 &&
                       (*found)[0].is_string() && (*found)[1].is_string();
  if (!present) {
    problems.push_back(absl::StrCat(part.name, ": expected [\"<library>\", \"<class>\"]"));
    return;
  }
  const std::string& class_name = (*found)[1].get_ref<const std::string&>();
  if (part.class_name != nullptr && class_name != part.class_name) {
    problems.push_back(absl::StrCat(part.name, ": expected the class ", part.class_name, ", found ",
                                    Quote(class_name)));
  }
}

absl::Status CheckModelIndex(const std::string& path) {
  TESSERA_ASSIGN_OR_RETURN(const nlohmann::json index, ReadJsonFile(path));
  std::vector<std::string> problems;
  const std::string* class_name = StringAt(index, "_class_name");
  if (class_name == nullptr || *class_name != "FluxPipeline") {
    problems.push_back(absl::StrCat("_class_name: expected \"FluxPipeline\"",
                                    class_name == nullptr ? "" : ", found ",
                                    class_name == nullptr ? "" : Quote(*class_name)));
  }
  for (const Part& part : kParts) CheckPart(index, part, problems);
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", absl::StrJoin(problems, "; ")));
}

absl::StatusOr<bool> ReadGuidanceEmbeds(const std::string& path) {
  TESSERA_ASSIGN_OR_RETURN(const nlohmann::json config, ReadJsonFile(path));
  const auto found = config.find("guidance_embeds");
  if (found == config.end()) return false;  // as diffusers has it
  if (found->is_boolean()) return found->get<bool>();
  return absl::InvalidArgumentError(absl::StrCat(path, ": guidance_embeds: expected a boolean"));
}

// Each level of the VAE but the last halves the picture, and a token covers 2x2 of what is left.
absl::StatusOr<int> ReadSizeMultiple(const std::string& path) {
  TESSERA_ASSIGN_OR_RETURN(const nlohmann::json config, ReadJsonFile(path));
  const auto found = config.find("block_out_channels");
  if (found == config.end() || !found->is_array() || found->empty() ||
      found->size() > kMaxVaeLevels) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": block_out_channels: expected an array of 1 to ", kMaxVaeLevels));
  }
  return 1 << found->size();
}

ModelDefaults FluxDefaults(bool guidance_embeds) {
  ModelDefaults defaults;
  if (!guidance_embeds) {
    defaults.num_inference_steps = 4;
    defaults.guidance_scale = 0;
    defaults.max_sequence_length = 256;
  }
  return defaults;
}

std::string FolderName(const std::string& dir) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(dir, error);
  return error ? dir : path.filename().string();
}

}  // namespace

absl::StatusOr<ModelInfo> ReadModelInfo(const std::string& model_dir) {
  TESSERA_RETURN_IF_ERROR(CheckModelIndex(absl::StrCat(model_dir, "/model_index.json")));
  ModelInfo info;
  info.name = FolderName(model_dir);
  TESSERA_ASSIGN_OR_RETURN(info.guidance_embeds,
                           ReadGuidanceEmbeds(absl::StrCat(model_dir, "/transformer/config.json")));
  TESSERA_ASSIGN_OR_RETURN(info.limits.size_multiple,
                           ReadSizeMultiple(absl::StrCat(model_dir, "/vae/config.json")));
  info.limits.min_size = info.limits.size_multiple;
  info.defaults = FluxDefaults(info.guidance_embeds);

  const std::string overrides_path = absl::StrCat(model_dir, "/tessera.json");
  std::error_code ignored;
  if (std::filesystem::exists(overrides_path, ignored)) {
    TESSERA_ASSIGN_OR_RETURN(const nlohmann::json overrides, ReadJsonFile(overrides_path));
    const std::vector<std::string> problems = ApplyOverrides(overrides, info);
    if (!problems.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(overrides_path, ": ", absl::StrJoin(problems, "; ")));
    }
  }
  TESSERA_ASSIGN_OR_RETURN(info.fingerprint, CheckpointFingerprint(model_dir));
  return info;
}

}  // namespace tessera
