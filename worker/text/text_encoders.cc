#include "worker/text/text_encoders.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/base/status_macros.h"
#include "worker/text/clip_encoder.h"
#include "worker/text/clip_tokenizer.h"
#include "worker/text/prompt_cache.h"
#include "worker/text/t5_encoder.h"
#include "worker/text/t5_tokenizer.h"

namespace tessera {
namespace {

constexpr size_t kCacheBytes = 128 << 20;  // 16 FLUX prompts of 512 tokens in float32

absl::Status Annotate(const std::string& what, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(what, ": ", status.message()));
}

// Ids that reach the device index an embedding unchecked.
absl::Status CheckIds(const std::string& what, const std::vector<int64_t>& ids, int64_t rows,
                      const std::string& encoder) {
  for (const int64_t id : ids) {
    if (id >= 0 && id < rows) continue;
    return absl::InvalidArgumentError(absl::StrCat(what, ": token id ", id, " is outside the ",
                                                   rows, " embedding rows of ", encoder));
  }
  return absl::OkStatus();
}

std::string CacheKey(const std::string& prompt, const std::string& prompt_2, int length) {
  return absl::StrCat(length, ",", prompt.size(), ",", prompt, prompt_2);
}

at::Tensor ToBatch(const std::vector<int64_t>& ids, at::Device device) {
  return at::tensor(ids, at::kLong).unsqueeze(0).to(device);  // [1, tokens]
}

}  // namespace

struct TextEncoders::Impl {
  ClipTokenizer clip_tokenizer;
  T5Tokenizer t5_tokenizer;
  ClipEncoder clip;
  T5Encoder t5;
  at::Device device;
  int64_t clip_length;  // tokens
  PromptCache cache{kCacheBytes};

  absl::StatusOr<TokenizedPrompt> ClipTokens(const std::string& what, const std::string& text) {
    absl::StatusOr<TokenizedPrompt> tokens = clip_tokenizer.Encode(text, clip_length);
    if (!tokens.ok()) return Annotate(what, tokens.status());
    TESSERA_RETURN_IF_ERROR(CheckIds(what, tokens->ids, clip.config.vocab_size, "text_encoder"));
    return tokens;
  }

  absl::StatusOr<TokenizedPrompt> T5Tokens(const std::string& what, const std::string& text,
                                           int64_t length) {
    absl::StatusOr<TokenizedPrompt> tokens = t5_tokenizer.Encode(text, length);
    if (!tokens.ok()) return Annotate(what, tokens.status());
    TESSERA_RETURN_IF_ERROR(CheckIds(what, tokens->ids, t5.config().vocab_size, "text_encoder_2"));
    return tokens;
  }
};

TextEncoders::TextEncoders(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TextEncoders::TextEncoders(TextEncoders&&) noexcept = default;
TextEncoders& TextEncoders::operator=(TextEncoders&&) noexcept = default;
TextEncoders::~TextEncoders() = default;

absl::StatusOr<TextEncoders> TextEncoders::Load(const std::string& model_dir,
                                                const WeightOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(ClipTokenizer clip_tokenizer,
                           ClipTokenizer::Load(model_dir + "/tokenizer"));
  TESSERA_ASSIGN_OR_RETURN(T5Tokenizer t5_tokenizer, T5Tokenizer::Load(model_dir + "/tokenizer_2"));
  TESSERA_ASSIGN_OR_RETURN(ClipEncoder clip,
                           ClipEncoder::Load(model_dir + "/text_encoder", options));
  const int64_t positions = clip.config.max_position_embeddings;
  const int64_t clip_length =
      clip_tokenizer.max_length() > 0 ? clip_tokenizer.max_length() : positions;
  if (clip_length > positions) {
    return absl::InvalidArgumentError(absl::StrCat(
        model_dir, "/tokenizer/tokenizer_config.json: model_max_length: expected at most ",
        positions, ", text_encoder's max_position_embeddings, found ", clip_length));
  }
  TESSERA_ASSIGN_OR_RETURN(T5Encoder t5, T5Encoder::Load(model_dir + "/text_encoder_2", options));

  std::unique_ptr<Impl> impl(new Impl{std::move(clip_tokenizer), std::move(t5_tokenizer),
                                      std::move(clip), std::move(t5), options.device, clip_length});
  // Control tokens that every prompt has.
  TESSERA_RETURN_IF_ERROR(impl->ClipTokens(model_dir + "/tokenizer", "").status());
  TESSERA_RETURN_IF_ERROR(impl->T5Tokens(model_dir + "/tokenizer_2", "", 2).status());
  return TextEncoders(std::move(impl));
}

absl::StatusOr<PromptEmbedding> TextEncoders::Encode(const std::string& prompt,
                                                     const std::optional<std::string>& prompt_2,
                                                     int max_sequence_length) {
  const bool has_second = prompt_2.has_value() && !prompt_2->empty();
  const std::string& t5_prompt = has_second ? *prompt_2 : prompt;
  std::string key = CacheKey(prompt, t5_prompt, max_sequence_length);
  if (const PromptEmbedding* cached = impl_->cache.Get(key)) return *cached;

  TESSERA_ASSIGN_OR_RETURN(const TokenizedPrompt clip_tokens, impl_->ClipTokens("prompt", prompt));
  TESSERA_ASSIGN_OR_RETURN(
      const TokenizedPrompt t5_tokens,
      impl_->T5Tokens(has_second ? "prompt_2" : "prompt", t5_prompt, max_sequence_length));
  PromptEmbedding embedding;
  embedding.clip_tokens = clip_tokens.tokens;
  embedding.t5_tokens = t5_tokens.tokens;
  embedding.clip_truncated = clip_tokens.tokens > impl_->clip_length;
  embedding.t5_truncated = t5_tokens.tokens > max_sequence_length;
  const at::Tensor hidden = impl_->clip.Hidden(ToBatch(clip_tokens.ids, impl_->device));
  // A copy, so that the cache does not hold the states of the whole prompt.
  embedding.pooled = hidden.select(1, impl_->clip.PoolPosition(clip_tokens.ids)).clone();
  embedding.text = impl_->t5.Encode(ToBatch(t5_tokens.ids, impl_->device));
  impl_->cache.Put(std::move(key), embedding);
  return embedding;
}

int TextEncoders::joint_attention_dim() const {
  return static_cast<int>(impl_->t5.config().d_model);
}

int TextEncoders::pooled_projection_dim() const {
  return static_cast<int>(impl_->clip.config.hidden_size);
}

}  // namespace tessera
