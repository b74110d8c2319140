#include "worker/pipeline/prompt_encoder.h"

#include <ATen/ATen.h>

#include <vector>

#include "common/base/status_macros.h"
#include "worker/base/status_exception.h"

namespace tessera {
namespace {

template <typename T>
T ValueOrThrow(absl::StatusOr<T> value) {
  ThrowIfError(value.status());
  return *std::move(value);
}

}  // namespace

absl::StatusOr<PromptEncoder> PromptEncoder::Load(std::shared_ptr<const Checkpoint> checkpoint,
                                                  const WeightOptions& weights,
                                                  TextEncoderPlace place) {
  WeightOptions text = weights;
  int64_t weight_bytes = 0;
  text.taken_bytes = &weight_bytes;
  if (place == TextEncoderPlace::kCpu) text.device = at::kCPU;
  const bool at_once = place == TextEncoderPlace::kEveryRank || text.device.is_cpu();
  TESSERA_ASSIGN_OR_RETURN(
      TextEncoders encoders,
      TextEncoders::Load(std::move(checkpoint), text,
                         at_once ? EncoderLoading::kAtOnce : EncoderLoading::kOnDemand));
  PromptEncoder result(std::move(encoders), weights, place);
  if (!text.device.is_cpu()) result.weight_bytes_ = weight_bytes;
  return result;
}

PromptEmbedding PromptEncoder::Encode(const std::string& prompt,
                                      const std::optional<std::string>& prompt_2,
                                      int max_sequence_length, Communicator& communicator) {
  if (place_ == TextEncoderPlace::kEveryRank) {
    return ValueOrThrow(encoders_.Encode(prompt, prompt_2, max_sequence_length));
  }
  const bool mine = communicator.rank() == 0;
  if (!mine && device_bytes() > 0) Release();
  PromptEmbedding embedding =
      ValueOrThrow(mine ? encoders_.Encode(prompt, prompt_2, max_sequence_length)
                        : encoders_.Count(prompt, prompt_2, max_sequence_length));
  const at::TensorOptions options = at::TensorOptions(device_).dtype(dtype_);
  if (mine) {
    embedding.text = embedding.text.to(options);
    embedding.pooled = embedding.pooled.to(options);
  } else {
    embedding.text = at::empty({1, max_sequence_length, encoders_.joint_attention_dim()}, options);
    embedding.pooled = at::empty({1, encoders_.pooled_projection_dim()}, options);
  }
  const at::Tensor nothing = at::empty({0}, options);
  std::vector<std::vector<at::Tensor>> pieces(communicator.size(), {nothing, nothing});
  pieces[0] = {embedding.text, embedding.pooled};
  if (communicator.size() > 1) ThrowIfError(communicator.AllGather(pieces));
  return embedding;
}

int64_t PromptEncoder::device_bytes() const { return encoders_.loaded() ? weight_bytes_ : 0; }

}  // namespace tessera
