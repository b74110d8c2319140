#include "worker/flux/flux_config.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tessera {
namespace {

constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxWidth = 1 << 20;

// Reads fields and collects what is wrong with them.
class Fields {
 public:
  explicit Fields(const nlohmann::json& object) : object_(object) {}

  int64_t Int(const std::string& name, int64_t min, int64_t max) {
    const auto it = object_.find(name);
    if (it == object_.end() || !it->is_number_integer() || it->get<int64_t>() < min ||
        it->get<int64_t>() > max) {
      problems_.push_back(absl::StrCat(name, ": expected an integer from ", min, " to ", max,
                                       ", found ", it == object_.end() ? "nothing" : it->dump()));
      return min;
    }
    return it->get<int64_t>();
  }

  void Problem(std::string text) { problems_.push_back(std::move(text)); }
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  const nlohmann::json& object_;
  std::vector<std::string> problems_;
};

}  // namespace

absl::StatusOr<FluxConfig> ReadFluxConfig(const std::string& model_dir) {
  const std::string path = absl::StrCat(model_dir, "/transformer/config.json");
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be opened"));
  const nlohmann::json json = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": expected a JSON object"));
  }

  Fields fields(json);
  FluxConfig config;
  config.num_layers = fields.Int("num_layers", 0, kMaxLayers);
  config.num_single_layers = fields.Int("num_single_layers", 0, kMaxLayers);
  config.num_attention_heads = fields.Int("num_attention_heads", 1, kMaxLayers);
  config.attention_head_dim = fields.Int("attention_head_dim", 2, kMaxWidth);
  config.in_channels = fields.Int("in_channels", 1, kMaxWidth);
  config.joint_attention_dim = fields.Int("joint_attention_dim", 1, kMaxWidth);
  config.pooled_projection_dim = fields.Int("pooled_projection_dim", 1, kMaxWidth);
  const bool has_out = json.contains("out_channels") && !json["out_channels"].is_null();
  config.out_channels = has_out ? fields.Int("out_channels", 1, kMaxWidth) : config.in_channels;
  if (json.contains("patch_size") && fields.Int("patch_size", 1, kMaxWidth) != 1) {
    fields.Problem("patch_size: only 1 is supported");
  }

  const auto guidance = json.find("guidance_embeds");
  if (guidance != json.end() && !guidance->is_boolean()) {
    fields.Problem(
        absl::StrCat("guidance_embeds: expected true or false, found ", guidance->dump()));
  } else {
    config.guidance_embeds = guidance != json.end() && guidance->get<bool>();
  }

  const nlohmann::json axes = json.value("axes_dims_rope", nlohmann::json{16, 56, 56});
  bool valid = axes.is_array() && axes.size() == 3;
  for (size_t i = 0; valid && i < axes.size(); ++i) {
    valid = axes[i].is_number_integer() && axes[i] >= 0 && axes[i] <= kMaxWidth &&
            axes[i].get<int64_t>() % 2 == 0;
    if (valid) config.axes_dims_rope.push_back(axes[i].get<int64_t>());
  }
  if (!valid) {
    fields.Problem(
        absl::StrCat("axes_dims_rope: expected three even numbers, found ", axes.dump()));
  } else if (std::accumulate(config.axes_dims_rope.begin(), config.axes_dims_rope.end(),
                             int64_t{0}) != config.attention_head_dim) {
    fields.Problem(absl::StrCat("axes_dims_rope: ", axes.dump(),
                                " does not sum to attention_head_dim ", config.attention_head_dim));
  }
  if (config.attention_layers() == 0)
    fields.Problem("num_layers + num_single_layers: expected at least 1");

  if (!fields.problems().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", absl::StrJoin(fields.problems(), "; ")));
  }
  return config;
}

}  // namespace tessera
