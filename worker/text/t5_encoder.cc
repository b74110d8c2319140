#include "worker/text/t5_encoder.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

// Both names stand for one tensor; files hold either or both.
constexpr char kSharedName[] = "shared.weight";
constexpr char kEmbedName[] = "encoder.embed_tokens.weight";

T5Block TakeBlock(WeightReader& reader, const std::string& name, const T5Config& config) {
  const std::string attention = name + "layer.0.SelfAttention.";
  const std::string feed_forward = name + "layer.1.DenseReluDense.";
  const int64_t width = config.d_model;
  const int64_t inner = config.inner_dim();
  T5Block block;
  block.attention_norm = reader.Take(name + "layer.0.layer_norm.weight", {width});
  block.q = reader.Take(attention + "q.weight", {inner, width});
  block.k = reader.Take(attention + "k.weight", {inner, width});
  block.v = reader.Take(attention + "v.weight", {inner, width});
  block.o = reader.Take(attention + "o.weight", {width, inner});
  block.feed_forward_norm = reader.Take(name + "layer.1.layer_norm.weight", {width});
  block.wi_0 = reader.Take(feed_forward + "wi_0.weight", {config.d_ff, width});
  block.wi_1 = reader.Take(feed_forward + "wi_1.weight", {config.d_ff, width});
  block.wo = reader.Take(feed_forward + "wo.weight", {width, config.d_ff});
  return block;
}

// No mean is subtracted; mean square and product are float32.
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + eps);
  return weight * (wide * scale).to(weight.scalar_type());
}

at::Tensor FeedForward(const T5Block& block, const at::Tensor& x) {
  const at::Tensor inner =
      at::gelu(at::linear(x, block.wi_0), "tanh").mul_(at::linear(x, block.wi_1));
  if (inner.scalar_type() != at::kHalf) return at::linear(inner, block.wo);
  // Widened here, not at loading, so that the weights stay shared with the mapped file.
  return at::linear(inner.to(at::kFloat), block.wo.to(at::kFloat));
}

// Keeps float16 finite.
at::Tensor ClampHalf(const at::Tensor& x) {
  if (x.scalar_type() != at::kHalf) return x;
  const double max = static_cast<double>(std::numeric_limits<at::Half>::max());
  const at::Tensor limit = at::where(at::isinf(x).any(), at::scalar_tensor(max - 1000, x.options()),
                                     at::scalar_tensor(max, x.options()));
  return at::clamp(x, -limit, limit);
}

}  // namespace

absl::StatusOr<T5Encoder> T5Encoder::Load(const Checkpoint& checkpoint,
                                          const WeightOptions& options) {
  T5Encoder encoder;
  TESSERA_ASSIGN_OR_RETURN(encoder.config_, ReadT5Config(checkpoint));
  TESSERA_ASSIGN_OR_RETURN(const WeightFiles files, checkpoint.Weights(Part::kTextEncoder2));
  TESSERA_ASSIGN_OR_RETURN(WeightReader reader, WeightReader::Open(files, options));
  const T5Config& config = encoder.config_;
  const bool has_shared = reader.Has(kSharedName) || !reader.Has(kEmbedName);
  encoder.embedding_ =
      reader.Take(has_shared ? kSharedName : kEmbedName, {config.vocab_size, config.d_model});
  if (has_shared) reader.Ignore(kEmbedName);
  encoder.relative_attention_bias_ =
      reader.Take("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                  {config.relative_attention_num_buckets, config.num_heads});
  for (int64_t i = 0; i < config.num_layers; ++i) {
    encoder.blocks_.push_back(TakeBlock(reader, absl::StrCat("encoder.block.", i, "."), config));
  }
  encoder.final_norm_ = reader.Take("encoder.final_layer_norm.weight", {config.d_model});
  TESSERA_RETURN_IF_ERROR(reader.Finish());
  return encoder;
}

at::Tensor T5Encoder::Encode(const at::Tensor& ids) {
  const double eps = config_.layer_norm_epsilon;
  const at::Tensor& bias = PositionBias(ids.size(1));
  at::Tensor x = at::embedding(embedding_, ids);
  for (const T5Block& block : blocks_) {
    x = ClampHalf(x + Attention(block, RmsNorm(x, block.attention_norm, eps), bias));
    x = ClampHalf(x + FeedForward(block, RmsNorm(x, block.feed_forward_norm, eps)));
  }
  return RmsNorm(x, final_norm_, eps);
}

at::Tensor T5Encoder::Attention(const T5Block& block, const at::Tensor& x,
                                const at::Tensor& bias) const {
  const auto split = [&](const at::Tensor& weight) {
    return at::linear(x, weight).unflatten(-1, {config_.num_heads, config_.d_kv}).transpose(1, 2);
  };
  const at::Tensor attended = at::scaled_dot_product_attention(
      split(block.q), split(block.k), split(block.v), bias, /*dropout_p=*/0.0,
      /*is_causal=*/false, /*scale=*/1.0);
  return at::linear(attended.transpose(1, 2).flatten(2), block.o);
}

const at::Tensor& T5Encoder::PositionBias(int64_t tokens) {
  if (position_bias_.defined() && position_bias_.size(-1) == tokens) return position_bias_;
  const at::Tensor positions = at::arange(tokens, at::kLong);
  const at::Tensor distance = positions.unsqueeze(0) - positions.unsqueeze(1);  // key - query
  const at::Tensor buckets =
      T5DistanceBuckets(tokens, config_).index({distance + (tokens - 1)});  // [tokens, tokens]
  position_bias_ =
      at::embedding(relative_attention_bias_, buckets.to(relative_attention_bias_.device()))
          .permute({2, 0, 1})
          .unsqueeze(0)
          .contiguous();
  return position_bias_;
}

at::Tensor T5DistanceBuckets(int64_t tokens, const T5Config& config) {
  // float32, as in transformers: it decides which side of a bucket's edge a distance falls on.
  const int64_t half = config.relative_attention_num_buckets / 2;  // for one direction
  const int64_t exact = half / 2;                                  // buckets of one distance
  const at::Tensor distance = at::arange(1 - tokens, tokens, at::kLong);
  const at::Tensor size = distance.abs();
  const double range = std::log(static_cast<double>(config.relative_attention_max_distance) /
                                static_cast<double>(exact));
  const at::Tensor ratio = size.clamp_min(exact).to(at::kFloat) / exact;
  const at::Tensor far = (at::log(ratio) / range * (half - exact)).to(at::kLong) + exact;
  const at::Tensor bucket = at::where(size < exact, size, far.clamp_max(half - 1));
  return bucket + (distance > 0).to(at::kLong) * half;
}

}  // namespace tessera
