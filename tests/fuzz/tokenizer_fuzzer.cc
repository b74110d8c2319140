#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "common/model/checkpoint_folder.h"
#include "tests/fuzz/fuzzed_checkpoint.h"
#include "worker/tokenizer/clip_tokenizer.h"
#include "worker/tokenizer/t5_tokenizer.h"

namespace {

constexpr char kPrompt[] = "A photo of <extra_id_1> Éclair,  12 dogs</s> \u4e16\u754c \U0001F600!";
constexpr int64_t kLength = 24;  // tokens

template <typename Tokenizer>
void LoadAndEncode(const std::string& model_dir) {
  const auto tokenizer = Tokenizer::Load(tessera::CheckpointFolder(model_dir));
  if (!tokenizer.ok()) return;
  const auto prompt = tokenizer->Encode(kPrompt, kLength);
  if (!prompt.ok() || prompt->ids.size() > static_cast<size_t>(kLength)) std::abort();
}

}  // namespace

// Whatever tokenizer files hold, loading them answers with a status or with a tokenizer that
// encodes a prompt. An input that does not begin with a file's name is a spiece.model.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tessera::testing::FuzzedCheckpoint;
  static FuzzedCheckpoint checkpoint;
  static FuzzedCheckpoint fast_only("tokenizer_2/spiece.model");
  const auto file = tessera::testing::SplitInput(data, size);
  if (!file.has_value()) {
    checkpoint.Replace("tokenizer_2/spiece.model", {reinterpret_cast<const char*>(data), size});
    LoadAndEncode<tessera::T5Tokenizer>(checkpoint.dir());
    return 0;
  }
  FuzzedCheckpoint& target = file->name == "tokenizer_2/tokenizer.json" ? fast_only : checkpoint;
  target.Replace(file->name, file->bytes);
  if (file->name.starts_with("tokenizer/")) {
    LoadAndEncode<tessera::ClipTokenizer>(target.dir());
  } else {
    LoadAndEncode<tessera::T5Tokenizer>(target.dir());
  }
  return 0;
}
