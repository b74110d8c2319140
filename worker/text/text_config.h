#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/model/checkpoint.h"

namespace tessera {

enum class ClipActivation { kQuickGelu, kGelu };

// The config of CLIP's text model.
struct ClipTextConfig {
  int64_t vocab_size = 0;               // rows of the token embedding
  int64_t max_position_embeddings = 0;  // the longest prompt, in tokens
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;  // divides hidden_size
  ClipActivation hidden_act = ClipActivation::kQuickGelu;
  double layer_norm_eps = 0;
  int64_t eos_token_id = 0;  // 2 stands for "the largest id of the prompt"
};

// The config of T5's encoder with a gated feed-forward.
struct T5Config {
  int64_t vocab_size = 0;  // rows of the token embedding
  int64_t d_model = 0;
  int64_t d_kv = 0;  // per head; num_heads x d_kv need not be d_model
  int64_t d_ff = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t relative_attention_num_buckets = 0;
  int64_t relative_attention_max_distance = 0;
  double layer_norm_epsilon = 0;

  int64_t inner_dim() const { return num_heads * d_kv; }
};

// Fields that files may leave out take transformers' defaults. NOT_FOUND, or INVALID_ARGUMENT
// listing every wrong field with the file's name.
absl::StatusOr<ClipTextConfig> ReadClipTextConfig(const Checkpoint& checkpoint);
absl::StatusOr<T5Config> ReadT5Config(const Checkpoint& checkpoint);

}  // namespace tessera
