#include "worker/text/clip_encoder.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

constexpr char kPrefix[] = "text_model.";
constexpr int64_t kLargestIdRule = 2;
constexpr double kQuickGeluFactor = 1.702;

ClipLinear TakeLinear(WeightReader& reader, const std::string& name, int64_t out, int64_t in) {
  return {reader.Take(name + ".weight", {out, in}), reader.Take(name + ".bias", {out})};
}

ClipNorm TakeNorm(WeightReader& reader, const std::string& name, int64_t width) {
  return {reader.Take(name + ".weight", {width}), reader.Take(name + ".bias", {width})};
}

ClipLayer TakeLayer(WeightReader& reader, const std::string& name, const ClipTextConfig& config) {
  const int64_t width = config.hidden_size;
  ClipLayer layer;
  layer.norm1 = TakeNorm(reader, name + "layer_norm1", width);
  layer.q = TakeLinear(reader, name + "self_attn.q_proj", width, width);
  layer.k = TakeLinear(reader, name + "self_attn.k_proj", width, width);
  layer.v = TakeLinear(reader, name + "self_attn.v_proj", width, width);
  layer.out = TakeLinear(reader, name + "self_attn.out_proj", width, width);
  layer.norm2 = TakeNorm(reader, name + "layer_norm2", width);
  layer.fc1 = TakeLinear(reader, name + "mlp.fc1", config.intermediate_size, width);
  layer.fc2 = TakeLinear(reader, name + "mlp.fc2", width, config.intermediate_size);
  return layer;
}

at::Tensor Apply(const ClipLinear& linear, const at::Tensor& x) {
  return at::linear(x, linear.weight, linear.bias);
}

at::Tensor Apply(const ClipNorm& norm, const at::Tensor& x, double eps) {
  return at::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, eps);
}

// x [batch, tokens, hidden], already normed.
at::Tensor CausalAttention(const ClipLayer& layer, const at::Tensor& x, int64_t heads) {
  const auto split = [&](const ClipLinear& linear) {
    return Apply(linear, x).unflatten(-1, {heads, -1}).transpose(1, 2);
  };
  const at::Tensor attended = at::scaled_dot_product_attention(
      split(layer.q), split(layer.k), split(layer.v), /*attn_mask=*/std::nullopt,
      /*dropout_p=*/0.0, /*is_causal=*/true);
  return Apply(layer.out, attended.transpose(1, 2).flatten(2));
}

at::Tensor Activate(const at::Tensor& x, ClipActivation activation) {
  if (activation == ClipActivation::kGelu) return at::gelu(x);
  return x * at::sigmoid(x * kQuickGeluFactor);
}

}  // namespace

absl::StatusOr<ClipEncoder> ClipEncoder::Load(const Checkpoint& checkpoint,
                                              const WeightOptions& options) {
  ClipEncoder encoder;
  TESSERA_ASSIGN_OR_RETURN(encoder.config, ReadClipTextConfig(checkpoint));
  TESSERA_ASSIGN_OR_RETURN(const WeightFiles files, checkpoint.Weights(Part::kTextEncoder));
  TESSERA_ASSIGN_OR_RETURN(WeightReader reader, WeightReader::Open(files, options));
  const ClipTextConfig& config = encoder.config;
  const std::string prefix =
      reader.Has(absl::StrCat(kPrefix, "final_layer_norm.weight")) ? kPrefix : "";
  const std::string embeddings = prefix + "embeddings.";
  encoder.token_embedding =
      reader.Take(embeddings + "token_embedding.weight", {config.vocab_size, config.hidden_size});
  encoder.position_embedding = reader.Take(embeddings + "position_embedding.weight",
                                           {config.max_position_embeddings, config.hidden_size});
  reader.Ignore(embeddings + "position_ids");
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    encoder.layers.push_back(
        TakeLayer(reader, absl::StrCat(prefix, "encoder.layers.", i, "."), config));
  }
  encoder.final_norm = TakeNorm(reader, prefix + "final_layer_norm", config.hidden_size);
  TESSERA_RETURN_IF_ERROR(reader.Finish());
  return encoder;
}

at::Tensor ClipEncoder::Hidden(const at::Tensor& ids) const {
  const double eps = config.layer_norm_eps;
  at::Tensor x = at::embedding(token_embedding, ids) + position_embedding.narrow(0, 0, ids.size(1));
  for (const ClipLayer& layer : layers) {
    x = x + CausalAttention(layer, Apply(layer.norm1, x, eps), config.num_attention_heads);
    const at::Tensor inner = Apply(layer.fc1, Apply(layer.norm2, x, eps));
    x = x + Apply(layer.fc2, Activate(inner, config.hidden_act));
  }
  return Apply(final_norm, x, eps);
}

int64_t ClipEncoder::PoolPosition(const std::vector<int64_t>& ids) const {
  const auto place = config.eos_token_id == kLargestIdRule
                         ? std::max_element(ids.begin(), ids.end())
                         : std::find(ids.begin(), ids.end(), config.eos_token_id);
  return place == ids.end() ? 0 : place - ids.begin();
}

}  // namespace tessera
