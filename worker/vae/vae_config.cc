#include "worker/vae/vae_config.h"

#include "absl/strings/str_cat.h"
#include "common/base/json_fields.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

constexpr int64_t kMaxChannels = 1 << 16;
constexpr int64_t kMaxLayers = 64;
constexpr size_t kMaxLevels = 8;
constexpr int64_t kPictureChannels = 3;

void CheckLevels(const VaeConfig& config, JsonFields& fields) {
  if (config.block_out_channels.size() > kMaxLevels) {
    fields.Problem("block_out_channels", absl::StrCat("expected at most ", kMaxLevels, " levels"));
  }
  for (const int64_t channels : config.block_out_channels) {
    if (channels % config.norm_num_groups == 0) continue;
    fields.Problem("block_out_channels", absl::StrCat(channels, " is not a multiple of ",
                                                      "norm_num_groups ", config.norm_num_groups));
  }
}

void CheckBlockTypes(const VaeConfig& config, JsonFields& fields) {
  constexpr char kName[] = "up_block_types";
  const nlohmann::json* types = fields.Find(kName);
  bool valid =
      types == nullptr || (types->is_array() && types->size() == config.block_out_channels.size());
  for (size_t i = 0; valid && types != nullptr && i < types->size(); ++i) {
    const nlohmann::json& type = (*types)[i];
    valid = type.is_string() && type == "UpDecoderBlock2D";
  }
  if (!valid) {
    fields.Expected(kName, "UpDecoderBlock2D once for each of block_out_channels", types);
  }
}

}  // namespace

absl::StatusOr<VaeConfig> ReadVaeConfig(const Checkpoint& checkpoint) {
  TESSERA_ASSIGN_OR_RETURN(const JsonFile file, checkpoint.Config(Part::kVae));
  JsonFields fields(file.path, file.object);
  VaeConfig config;
  fields.Choice("_class_name", {"AutoencoderKL"});
  fields.Choice("act_fn", {"silu"}, "silu");
  config.block_out_channels = fields.Ints("block_out_channels", 1, kMaxChannels);
  config.layers_per_block = fields.Int("layers_per_block", 1, kMaxLayers);
  config.latent_channels = fields.Int("latent_channels", 1, kMaxChannels);
  config.norm_num_groups = fields.Int("norm_num_groups", 1, kMaxChannels);
  fields.Int("out_channels", kPictureChannels, kPictureChannels, kPictureChannels);
  config.scaling_factor = fields.Number("scaling_factor");
  config.shift_factor = fields.Number("shift_factor");
  config.use_post_quant_conv = fields.Bool("use_post_quant_conv", true);
  config.mid_block_add_attention = fields.Bool("mid_block_add_attention", true);
  if (config.scaling_factor == 0) fields.Problem("scaling_factor", "expected another value than 0");
  CheckLevels(config, fields);
  CheckBlockTypes(config, fields);
  TESSERA_RETURN_IF_ERROR(fields.Finish());
  return config;
}

}  // namespace tessera
