#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/text/text_config.h"
#include "worker/weights/weight_reader.h"

namespace tessera {

struct ClipLinear {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out]
};

struct ClipNorm {
  at::Tensor weight;  // [hidden]
  at::Tensor bias;    // [hidden]
};

struct ClipLayer {
  ClipNorm norm1;
  ClipLinear q, k, v, out;  // [hidden, hidden]
  ClipNorm norm2;
  ClipLinear fc1;  // [intermediate, hidden]
  ClipLinear fc2;  // [hidden, intermediate]
};

// CLIP's text encoder (transformers, models/clip/modeling_clip.py). Immutable, so thread-safe.
struct ClipEncoder {
  ClipTextConfig config;
  at::Tensor token_embedding;     // [vocab_size, hidden]
  at::Tensor position_embedding;  // [max_position_embeddings, hidden]
  std::vector<ClipLayer> layers;
  ClipNorm final_norm;

  // Names of tensors may or may not begin with "text_model.". Errors as WeightReader's and
  // ReadClipTextConfig's.
  static absl::StatusOr<ClipEncoder> Load(const Checkpoint& checkpoint,
                                          const WeightOptions& options);

  // ids [batch, tokens], int64 on the weights' device, each below vocab_size; tokens is at most
  // max_position_embeddings. The states after the last norm: [batch, tokens, hidden].
  at::Tensor Hidden(const at::Tensor& ids) const;

  // The position whose state is the pooled output: the first of the largest id where eos_token_id
  // is 2, else the first of eos_token_id, else 0.
  int64_t PoolPosition(const std::vector<int64_t>& ids) const;
};

}  // namespace tessera
