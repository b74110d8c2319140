#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "worker/comm/communicator.h"
#include "worker/pipeline/pipeline_options.h"
#include "worker/text/text_encoders.h"

namespace tessera {

// Encodes prompts where TextEncoderPlace says, and brings the embeddings to every rank's device.
// Where rank 0 encodes for all, each rank runs the tokenizers, so that all find the same fault in a
// prompt and know its counts; the others' weights are checked and not loaded. A rank that becomes
// rank 0 of a later epoch loads them with its first new prompt, and gives them back when it no
// longer is. On the CPU they are pages of the mapped file in any case. Owned by the device thread.
class PromptEncoder {
 public:
  // `weights` has the type and device of the embeddings.
  static absl::StatusOr<PromptEncoder> Load(std::shared_ptr<const Checkpoint> checkpoint,
                                            const WeightOptions& weights, TextEncoderPlace place);

  // A collective, unless the place is every rank. Throws StatusException: INVALID_ARGUMENT, on all
  // ranks alike; the communicator's error; and what tensor code throws.
  PromptEmbedding Encode(const std::string& prompt, const std::optional<std::string>& prompt_2,
                         int max_sequence_length, Communicator& communicator);

  // Gives the weights' memory back until they are needed again.
  void Release() { encoders_.Release(); }
  // Of the device's memory, now.
  int64_t device_bytes() const;

  const TextEncoders& encoders() const { return encoders_; }

 private:
  PromptEncoder(TextEncoders encoders, const WeightOptions& weights, TextEncoderPlace place)
      : encoders_(std::move(encoders)),
        place_(place),
        device_(weights.device),
        dtype_(weights.dtype) {}

  TextEncoders encoders_;
  TextEncoderPlace place_;
  at::Device device_;
  at::ScalarType dtype_;
  int64_t weight_bytes_ = 0;
};

}  // namespace tessera
