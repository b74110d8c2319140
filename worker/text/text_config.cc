#include "worker/text/text_config.h"

#include "absl/strings/str_cat.h"
#include "common/base/json_fields.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxHeads = 1024;
constexpr int64_t kMaxWidth = 1 << 20;
constexpr int64_t kMaxRows = 1 << 24;      // of an embedding
constexpr int64_t kMaxDistance = 1 << 20;  // tokens

double PositiveEpsilon(JsonFields& fields, const std::string& name, double fallback) {
  const double epsilon = fields.Number(name, fallback);
  if (!(epsilon > 0 && epsilon < 1)) fields.Problem(name, "expected a number between 0 and 1");
  return epsilon;
}

}  // namespace

absl::StatusOr<ClipTextConfig> ReadClipTextConfig(const Checkpoint& checkpoint) {
  TESSERA_ASSIGN_OR_RETURN(const JsonFile file, checkpoint.Config(Part::kTextEncoder));
  JsonFields fields(file.path, file.object);
  ClipTextConfig config;
  config.vocab_size = fields.Int("vocab_size", 1, kMaxRows);
  config.max_position_embeddings = fields.Int("max_position_embeddings", 2, kMaxWidth);
  config.hidden_size = fields.Int("hidden_size", 1, kMaxWidth);
  config.intermediate_size = fields.Int("intermediate_size", 1, kMaxWidth);
  config.num_hidden_layers = fields.Int("num_hidden_layers", 1, kMaxLayers);
  config.num_attention_heads = fields.Int("num_attention_heads", 1, kMaxHeads);
  const std::string activation = fields.Choice("hidden_act", {"quick_gelu", "gelu"}, "quick_gelu");
  config.hidden_act = activation == "gelu" ? ClipActivation::kGelu : ClipActivation::kQuickGelu;
  config.layer_norm_eps = PositiveEpsilon(fields, "layer_norm_eps", 1e-5);
  config.eos_token_id = fields.Int("eos_token_id", 0, kMaxRows, 49407);
  if (config.hidden_size % config.num_attention_heads != 0) {
    fields.Problem("hidden_size", absl::StrCat(config.hidden_size, " is no multiple of the ",
                                               config.num_attention_heads, " attention heads"));
  }
  TESSERA_RETURN_IF_ERROR(fields.Finish());
  return config;
}

absl::StatusOr<T5Config> ReadT5Config(const Checkpoint& checkpoint) {
  TESSERA_ASSIGN_OR_RETURN(const JsonFile file, checkpoint.Config(Part::kTextEncoder2));
  JsonFields fields(file.path, file.object);
  T5Config config;
  config.vocab_size = fields.Int("vocab_size", 1, kMaxRows);
  config.d_model = fields.Int("d_model", 1, kMaxWidth);
  config.d_kv = fields.Int("d_kv", 1, kMaxWidth);
  config.d_ff = fields.Int("d_ff", 1, kMaxWidth);
  config.num_layers = fields.Int("num_layers", 1, kMaxLayers);
  config.num_heads = fields.Int("num_heads", 1, kMaxHeads);
  config.relative_attention_num_buckets =
      fields.Int("relative_attention_num_buckets", 4, kMaxWidth, 32);
  config.relative_attention_max_distance =
      fields.Int("relative_attention_max_distance", 1, kMaxDistance, 128);
  // Half of the buckets are for one direction, and half of those hold one distance each.
  const int64_t exact = config.relative_attention_num_buckets / 4;
  if (config.relative_attention_max_distance <= exact) {
    fields.Problem("relative_attention_max_distance",
                   absl::StrCat("expected more than a quarter of the buckets, ", exact, ", found ",
                                config.relative_attention_max_distance));
  }
  config.layer_norm_epsilon = PositiveEpsilon(fields, "layer_norm_epsilon", 1e-6);
  fields.Choice("feed_forward_proj", {"gated-gelu"});
  TESSERA_RETURN_IF_ERROR(fields.Finish());
  return config;
}

}  // namespace tessera
