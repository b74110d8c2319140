#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "worker/text/text_config.h"
#include "worker/weights/weight_reader.h"

namespace tessera {

// What the transformer sees of one prompt. The tensors may be the cache's own: do not write to
// them.
struct PromptEmbedding {
  at::Tensor text;    // [1, max_sequence_length, joint_attention_dim], T5 states, padding included
  at::Tensor pooled;  // [1, pooled_projection_dim], CLIP
  // Tokens of the whole prompt, control tokens included, before any cut.
  int clip_tokens = 0;
  int t5_tokens = 0;
  bool clip_truncated = false;  // more than CLIP's 77
  bool t5_truncated = false;    // more than max_sequence_length
};

// When the encoders' weights take memory of the device.
enum class EncoderLoading {
  kAtOnce,
  kOnDemand,  // from the first prompt on; until then they are only checked
};

// Both tokenizers and both text encoders of a checkpoint, and a cache of what they made (least
// recently used out, bounded in bytes). Not thread-safe: one device thread owns it.
class TextEncoders {
 public:
  // Weights that are given back, or come on demand, are read from the checkpoint again.
  static absl::StatusOr<TextEncoders> Load(std::shared_ptr<const Checkpoint> checkpoint,
                                           const WeightOptions& options,
                                           EncoderLoading loading = EncoderLoading::kAtOnce);
  TextEncoders(TextEncoders&&) noexcept;
  TextEncoders& operator=(TextEncoders&&) noexcept;
  ~TextEncoders();

  // prompt goes to CLIP, prompt_2 to T5 (prompt when absent or empty). Prompts are UTF-8; an empty
  // one is a prompt. Errors: INVALID_ARGUMENT for invalid UTF-8 or a token id outside an embedding
  // table; Load's when the weights come on demand.
  absl::StatusOr<PromptEmbedding> Encode(const std::string& prompt,
                                         const std::optional<std::string>& prompt_2,
                                         int max_sequence_length);

  // The embedding without its tensors: what the tokenizers alone tell, and the same
  // INVALID_ARGUMENT.
  absl::StatusOr<PromptEmbedding> Count(const std::string& prompt,
                                        const std::optional<std::string>& prompt_2,
                                        int max_sequence_length) const;

  // Gives the weights' memory back; the next prompt that is not in the cache loads them again.
  void Release();
  bool loaded() const;

  const T5Config& t5_config() const;
  int joint_attention_dim() const;    // T5's width
  int pooled_projection_dim() const;  // CLIP's width

 private:
  struct Impl;
  explicit TextEncoders(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera
