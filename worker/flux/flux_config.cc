#include "worker/flux/flux_config.h"

#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/json_fields.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxWidth = 1 << 20;

// Empty with a problem noted.
std::vector<int64_t> ReadAxes(int64_t head_dim, JsonFields& fields) {
  constexpr char kName[] = "axes_dims_rope";
  const nlohmann::json published = {16, 56, 56};
  const nlohmann::json* found = fields.Find(kName);
  const nlohmann::json& value = found == nullptr ? published : *found;
  std::vector<int64_t> axes;
  bool valid = value.is_array() && value.size() == 3;
  for (size_t i = 0; valid && i < 3; ++i) {
    const nlohmann::json& axis = value[i];
    valid =
        axis.is_number_integer() && axis >= 0 && axis <= kMaxWidth && axis.get<int64_t>() % 2 == 0;
    if (valid) axes.push_back(axis.get<int64_t>());
  }
  if (!valid) {
    fields.Expected(kName, "three even numbers", found);
    return {};
  }
  if (std::accumulate(axes.begin(), axes.end(), int64_t{0}) != head_dim) {
    fields.Problem(kName, absl::StrCat("[", absl::StrJoin(axes, ", "),
                                       "] does not sum to attention_head_dim ", head_dim));
  }
  return axes;
}

}  // namespace

absl::StatusOr<FluxConfig> ReadFluxConfig(const Checkpoint& checkpoint) {
  TESSERA_ASSIGN_OR_RETURN(const JsonFile file, checkpoint.Config(Part::kTransformer));
  JsonFields fields(file.path, file.object);
  FluxConfig config;
  config.num_layers = fields.Int("num_layers", 0, kMaxLayers);
  config.num_single_layers = fields.Int("num_single_layers", 0, kMaxLayers);
  config.num_attention_heads = fields.Int("num_attention_heads", 1, kMaxLayers);
  config.attention_head_dim = fields.Int("attention_head_dim", 2, kMaxWidth);
  config.in_channels = fields.Int("in_channels", 1, kMaxWidth);
  config.out_channels = fields.Int("out_channels", 1, kMaxWidth, config.in_channels);
  config.joint_attention_dim = fields.Int("joint_attention_dim", 1, kMaxWidth);
  config.pooled_projection_dim = fields.Int("pooled_projection_dim", 1, kMaxWidth);
  config.guidance_embeds = fields.Bool("guidance_embeds", false);
  config.axes_dims_rope = ReadAxes(config.attention_head_dim, fields);
  if (fields.Int("patch_size", 1, kMaxWidth, 1) != 1) {
    fields.Problem("patch_size", "only 1 is supported");
  }
  if (config.attention_layers() == 0) {
    fields.Problem("num_layers + num_single_layers", "expected at least 1");
  }
  TESSERA_RETURN_IF_ERROR(fields.Finish());
  return config;
}

}  // namespace tessera
