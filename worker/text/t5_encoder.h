#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/text/text_config.h"
#include "worker/weights/weight_reader.h"

namespace tessera {

struct T5Block {
  at::Tensor attention_norm;     // [d_model]
  at::Tensor q, k, v;            // [num_heads * d_kv, d_model]
  at::Tensor o;                  // [d_model, num_heads * d_kv]
  at::Tensor feed_forward_norm;  // [d_model]
  at::Tensor wi_0, wi_1;         // [d_ff, d_model]
  at::Tensor wo;                 // [d_model, d_ff]
};

// T5's encoder (transformers, models/t5/modeling_t5.py). Thread-compatible.
class T5Encoder {
 public:
  // Errors as WeightReader's and ReadT5Config's.
  static absl::StatusOr<T5Encoder> Load(const Checkpoint& checkpoint, const WeightOptions& options);

  // ids [batch, tokens], int64 on the weights' device, each below vocab_size. The states after the
  // last norm: [batch, tokens, d_model]. In float16 sums are clamped and the feed-forward's output
  // layer runs in float32, which then keeps the residual stream in float32, as in transformers.
  at::Tensor Encode(const at::Tensor& ids);

  const T5Config& config() const { return config_; }

 private:
  T5Encoder() = default;
  at::Tensor Attention(const T5Block& block, const at::Tensor& x, const at::Tensor& bias) const;

  // What attention adds to its scores: [1, num_heads, tokens, tokens].
  const at::Tensor& PositionBias(int64_t tokens);

  T5Config config_;
  at::Tensor embedding_;                // [vocab_size, d_model]
  at::Tensor relative_attention_bias_;  // [num_buckets, num_heads]
  std::vector<T5Block> blocks_;
  at::Tensor final_norm_;     // [d_model]
  at::Tensor position_bias_;  // of the length asked for last
};

// The bucket of every distance (key position - query position) from -(tokens - 1) to tokens - 1:
// int64 [2 * tokens - 1] on the CPU. tokens >= 1.
at::Tensor T5DistanceBuckets(int64_t tokens, const T5Config& config);

}  // namespace tessera
