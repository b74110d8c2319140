#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/model/checkpoint_folder.h"
#include "worker/tokenizer/clip_tokenizer.h"
#include "worker/tokenizer/t5_tokenizer.h"
#include "worker/tokenizer/unicode.h"

namespace {

constexpr int64_t kLength = 24;     // tokens
constexpr int64_t kClipRows = 694;  // of the checkpoint's embeddings
constexpr int64_t kT5Rows = 528;

void Require(bool holds) {
  if (!holds) std::abort();
}

template <typename Tokenizer>
void Encode(const absl::StatusOr<Tokenizer>& tokenizer, std::string_view prompt, int64_t rows) {
  const auto tokens = tokenizer->Encode(prompt, kLength);
  Require(tokens.ok() == tessera::CheckUtf8(prompt).ok());
  if (!tokens.ok()) return;
  Require(tokens->ids.size() == static_cast<size_t>(kLength));
  for (const int64_t id : tokens->ids) Require(id >= 0 && id < rows);
}

}  // namespace

// Whatever bytes a prompt holds, a tokenizer answers with exactly the ids asked for, all within the
// embedding, or, when they are not UTF-8, with a status.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tessera::CheckpointFolder checkpoint(TESSERA_TINY_FLUX_DIR);
  static const auto clip = tessera::ClipTokenizer::Load(checkpoint);
  static const auto t5 = tessera::T5Tokenizer::Load(checkpoint);
  const std::string_view prompt(reinterpret_cast<const char*>(data), size);
  Encode(clip, prompt, kClipRows);
  Encode(t5, prompt, kT5Rows);
  return 0;
}
