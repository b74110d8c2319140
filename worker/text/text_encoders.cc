#include "worker/text/text_encoders.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/text/clip_encoder.h"
#include "worker/text/prompt_cache.h"
#include "worker/text/t5_encoder.h"
#include "worker/tokenizer/clip_tokenizer.h"
#include "worker/tokenizer/t5_tokenizer.h"

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

// The prompt that T5 gets, where it is one of its own.
const std::string* SecondPrompt(const std::optional<std::string>& prompt_2) {
  return prompt_2.has_value() && !prompt_2->empty() ? &*prompt_2 : nullptr;
}

// The weights.
struct Encoders {
  ClipEncoder clip;
  T5Encoder t5;

  static absl::StatusOr<Encoders> Load(const Checkpoint& checkpoint, const WeightOptions& options) {
    TESSERA_ASSIGN_OR_RETURN(ClipEncoder clip, ClipEncoder::Load(checkpoint, options));
    TESSERA_ASSIGN_OR_RETURN(T5Encoder t5, T5Encoder::Load(checkpoint, options));
    return Encoders{std::move(clip), std::move(t5)};
  }
};

struct PromptTokens {
  TokenizedPrompt clip, t5;
};

}  // namespace

struct TextEncoders::Impl {
  std::shared_ptr<const Checkpoint> checkpoint;
  WeightOptions options;
  ClipTokenizer clip_tokenizer;
  T5Tokenizer t5_tokenizer;
  ClipTextConfig clip_config;
  T5Config t5_config;
  int64_t clip_length;  // tokens
  std::optional<Encoders> encoders;
  PromptCache cache{kCacheBytes};

  absl::StatusOr<TokenizedPrompt> ClipTokens(const std::string& what,
                                             const std::string& text) const {
    absl::StatusOr<TokenizedPrompt> tokens = clip_tokenizer.Encode(text, clip_length);
    if (!tokens.ok()) return Annotate(what, tokens.status());
    TESSERA_RETURN_IF_ERROR(
        CheckIds(what, tokens->ids, clip_config.vocab_size, PartName(Part::kTextEncoder)));
    return tokens;
  }

  absl::StatusOr<TokenizedPrompt> T5Tokens(const std::string& what, const std::string& text,
                                           int64_t length) const {
    absl::StatusOr<TokenizedPrompt> tokens = t5_tokenizer.Encode(text, length);
    if (!tokens.ok()) return Annotate(what, tokens.status());
    TESSERA_RETURN_IF_ERROR(
        CheckIds(what, tokens->ids, t5_config.vocab_size, PartName(Part::kTextEncoder2)));
    return tokens;
  }

  // prompt_2 null: prompt.
  absl::StatusOr<PromptTokens> Tokenize(const std::string& prompt, const std::string* prompt_2,
                                        int length) const {
    PromptTokens tokens;
    TESSERA_ASSIGN_OR_RETURN(tokens.clip, ClipTokens("prompt", prompt));
    TESSERA_ASSIGN_OR_RETURN(tokens.t5, prompt_2 != nullptr
                                            ? T5Tokens("prompt_2", *prompt_2, length)
                                            : T5Tokens("prompt", prompt, length));
    return tokens;
  }

  PromptEmbedding CountsOf(const PromptTokens& tokens, int length) const {
    PromptEmbedding counts;
    counts.clip_tokens = tokens.clip.tokens;
    counts.t5_tokens = tokens.t5.tokens;
    counts.clip_truncated = tokens.clip.tokens > clip_length;
    counts.t5_truncated = tokens.t5.tokens > length;
    return counts;
  }
};

TextEncoders::TextEncoders(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TextEncoders::TextEncoders(TextEncoders&&) noexcept = default;
TextEncoders& TextEncoders::operator=(TextEncoders&&) noexcept = default;
TextEncoders::~TextEncoders() = default;

absl::StatusOr<TextEncoders> TextEncoders::Load(std::shared_ptr<const Checkpoint> checkpoint,
                                                const WeightOptions& options,
                                                EncoderLoading loading) {
  TESSERA_ASSIGN_OR_RETURN(ClipTokenizer clip_tokenizer, ClipTokenizer::Load(*checkpoint));
  TESSERA_ASSIGN_OR_RETURN(T5Tokenizer t5_tokenizer, T5Tokenizer::Load(*checkpoint));
  TESSERA_ASSIGN_OR_RETURN(const ClipTextConfig clip_config, ReadClipTextConfig(*checkpoint));
  const int64_t positions = clip_config.max_position_embeddings;
  const int64_t clip_length =
      clip_tokenizer.max_length() > 0 ? clip_tokenizer.max_length() : positions;
  if (clip_length > positions) {
    return absl::InvalidArgumentError(
        absl::StrCat(checkpoint->Place(Part::kTokenizer), ": model_max_length: expected at most ",
                     positions, ", the encoder's max_position_embeddings, found ", clip_length));
  }
  WeightOptions first = options;
  if (loading == EncoderLoading::kOnDemand) first.device = at::kMeta;  // names and shapes only
  TESSERA_ASSIGN_OR_RETURN(Encoders encoders, Encoders::Load(*checkpoint, first));
  const T5Config t5_config = encoders.t5.config();

  std::unique_ptr<Impl> impl(new Impl{checkpoint, options, std::move(clip_tokenizer),
                                      std::move(t5_tokenizer), clip_config, t5_config, clip_length,
                                      std::nullopt});
  impl->options.taken_bytes = nullptr;  // the caller's, counted once
  if (loading == EncoderLoading::kAtOnce) impl->encoders = std::move(encoders);
  // Control tokens that every prompt has.
  TESSERA_RETURN_IF_ERROR(impl->ClipTokens(checkpoint->Place(Part::kTokenizer), "").status());
  TESSERA_RETURN_IF_ERROR(impl->T5Tokens(checkpoint->Place(Part::kTokenizer2), "", 2).status());
  return TextEncoders(std::move(impl));
}

absl::StatusOr<PromptEmbedding> TextEncoders::Encode(const std::string& prompt,
                                                     const std::optional<std::string>& prompt_2,
                                                     int max_sequence_length) {
  const std::string* second = SecondPrompt(prompt_2);
  std::string key = CacheKey(prompt, second != nullptr ? *second : prompt, max_sequence_length);
  if (const PromptEmbedding* cached = impl_->cache.Get(key)) return *cached;

  TESSERA_ASSIGN_OR_RETURN(const PromptTokens tokens,
                           impl_->Tokenize(prompt, second, max_sequence_length));
  if (!loaded()) {
    TESSERA_ASSIGN_OR_RETURN(impl_->encoders, Encoders::Load(*impl_->checkpoint, impl_->options));
  }
  PromptEmbedding embedding = impl_->CountsOf(tokens, max_sequence_length);
  Encoders& encoders = *impl_->encoders;
  const at::Device device = impl_->options.device;
  const at::Tensor hidden = encoders.clip.Hidden(ToBatch(tokens.clip.ids, device));
  // A copy, so that the cache does not hold the states of the whole prompt.
  embedding.pooled = hidden.select(1, encoders.clip.PoolPosition(tokens.clip.ids)).clone();
  embedding.text = encoders.t5.Encode(ToBatch(tokens.t5.ids, device));
  impl_->cache.Put(std::move(key), embedding);
  return embedding;
}

absl::StatusOr<PromptEmbedding> TextEncoders::Count(const std::string& prompt,
                                                    const std::optional<std::string>& prompt_2,
                                                    int max_sequence_length) const {
  TESSERA_ASSIGN_OR_RETURN(const PromptTokens tokens,
                           impl_->Tokenize(prompt, SecondPrompt(prompt_2), max_sequence_length));
  return impl_->CountsOf(tokens, max_sequence_length);
}

void TextEncoders::Release() { impl_->encoders.reset(); }

bool TextEncoders::loaded() const { return impl_->encoders.has_value(); }

const T5Config& TextEncoders::t5_config() const { return impl_->t5_config; }

int TextEncoders::joint_attention_dim() const { return static_cast<int>(impl_->t5_config.d_model); }

int TextEncoders::pooled_projection_dim() const {
  return static_cast<int>(impl_->clip_config.hidden_size);
}

}  // namespace tessera
