#include "common/model/model_info.h"

#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/model/checkpoint.h"
#include "common/model/fingerprint.h"
#include "common/model/model_overrides.h"

namespace tessera {
namespace {

constexpr size_t kMaxVaeLevels = 8;

absl::StatusOr<bool> ReadGuidanceEmbeds(const Checkpoint& checkpoint) {
  TESSERA_ASSIGN_OR_RETURN(const JsonFile config, checkpoint.Config(Part::kTransformer));
  const auto found = config.object.find("guidance_embeds");
  if (found == config.object.end()) return false;  // as diffusers has it
  if (found->is_boolean()) return found->get<bool>();
  return absl::InvalidArgumentError(
      absl::StrCat(config.path, ": guidance_embeds: expected a boolean"));
}

// Each level of the VAE but the last halves the picture, and a token covers 2x2 of what is left.
absl::StatusOr<int> ReadSizeMultiple(const Checkpoint& checkpoint) {
  TESSERA_ASSIGN_OR_RETURN(const JsonFile config, checkpoint.Config(Part::kVae));
  const auto found = config.object.find("block_out_channels");
  if (found == config.object.end() || !found->is_array() || found->empty() ||
      found->size() > kMaxVaeLevels) {
    return absl::InvalidArgumentError(absl::StrCat(
        config.path, ": block_out_channels: expected an array of 1 to ", kMaxVaeLevels));
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

}  // namespace

absl::StatusOr<ModelInfo> ReadModelInfo(const Checkpoint& checkpoint) {
  ModelInfo info;
  info.name = checkpoint.name();
  TESSERA_ASSIGN_OR_RETURN(info.guidance_embeds, ReadGuidanceEmbeds(checkpoint));
  TESSERA_ASSIGN_OR_RETURN(info.limits.size_multiple, ReadSizeMultiple(checkpoint));
  info.limits.min_size = info.limits.size_multiple;
  info.defaults = FluxDefaults(info.guidance_embeds);

  const absl::StatusOr<JsonFile> overrides = checkpoint.Overrides();
  if (overrides.ok()) {
    const std::vector<std::string> problems = ApplyOverrides(overrides->object, info);
    if (!problems.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(overrides->path, ": ", absl::StrJoin(problems, "; ")));
    }
  } else if (!absl::IsNotFound(overrides.status())) {
    return overrides.status();
  }
  TESSERA_ASSIGN_OR_RETURN(info.fingerprint, CheckpointFingerprint(checkpoint));
  return info;
}

absl::StatusOr<ModelInfo> ReadModelInfo(const std::string& path) {
  TESSERA_ASSIGN_OR_RETURN(const std::shared_ptr<const Checkpoint> checkpoint,
                           Checkpoint::Open(path));
  return ReadModelInfo(*checkpoint);
}

}  // namespace tessera
