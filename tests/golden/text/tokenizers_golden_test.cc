#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "common/model/checkpoint_folder.h"
#include "tests/support/golden.h"
#include "worker/tokenizer/clip_tokenizer.h"
#include "worker/tokenizer/t5_tokenizer.h"

namespace tessera {
namespace {

using testing::CheckpointCopy;
using testing::MatchesGolden;

constexpr int64_t kClipLength = 77;

// The ids of every golden prompt, int32 [prompts, length].
template <typename Tokenizer>
at::Tensor EncodeAll(const absl::StatusOr<Tokenizer>& tokenizer, int64_t length) {
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  std::vector<at::Tensor> rows;
  for (const std::string& prompt : testing::Prompts()) {
    const auto tokens = tokenizer->Encode(prompt, length);
    EXPECT_TRUE(tokens.ok()) << tokens.status();
    rows.push_back(at::tensor(tokens->ids, at::kInt));
  }
  return at::stack(rows);
}

TEST(TokenizersGoldenTest, ClipIdsOfEveryPrompt) {
  const auto tokenizer = ClipTokenizer::Load(CheckpointFolder(testing::TinyFluxDir()));
  EXPECT_TRUE(MatchesGolden("clip/ids", EncodeAll(tokenizer, kClipLength)));
}

TEST(TokenizersGoldenTest, T5IdsOfEveryPrompt) {
  const auto tokenizer = T5Tokenizer::Load(CheckpointFolder(testing::TinyFluxDir()));
  EXPECT_TRUE(MatchesGolden("t5/ids_512", EncodeAll(tokenizer, 512)));
  EXPECT_TRUE(MatchesGolden("t5/ids_50", EncodeAll(tokenizer, 50)));
}

TEST(TokenizersGoldenTest, T5IdsFromTokenizerJsonAlone) {
  const CheckpointCopy checkpoint;
  std::filesystem::remove(checkpoint.dir() + "/tokenizer_2/spiece.model");
  const auto tokenizer = T5Tokenizer::Load(CheckpointFolder(checkpoint.dir()));
  EXPECT_TRUE(MatchesGolden("t5/ids_512", EncodeAll(tokenizer, 512)));
}

TEST(TokenizersGoldenTest, T5IdsFromSpieceModelAlone) {
  const CheckpointCopy checkpoint;
  for (const char* file : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}) {
    std::filesystem::remove(checkpoint.dir() + "/tokenizer_2/" + file);
  }
  const auto tokenizer = T5Tokenizer::Load(CheckpointFolder(checkpoint.dir()));
  EXPECT_TRUE(MatchesGolden("t5/ids_512", EncodeAll(tokenizer, 512)));
}

TEST(TokenizersGoldenTest, AlteredVocabularyIsSeen) {
  const CheckpointCopy checkpoint;
  checkpoint.EditJson("tokenizer/vocab.json", R"({"a</w>": 5})");
  const auto tokenizer = ClipTokenizer::Load(CheckpointFolder(checkpoint.dir()));
  EXPECT_FALSE(MatchesGolden("clip/ids", EncodeAll(tokenizer, kClipLength)));
}

TEST(TokenizersGoldenTest, AlteredPieceIsSeen) {
  const CheckpointCopy checkpoint;
  const std::string path = checkpoint.dir() + "/tokenizer_2/spiece.model";
  std::string model;
  {
    std::ifstream file(path, std::ios::binary);
    model.assign(std::istreambuf_iterator<char>(file), {});
  }
  const size_t piece = model.find("\xE2\x96\x81the");
  ASSERT_NE(piece, std::string::npos);
  model[piece + 3] = 'q';
  std::ofstream(path, std::ios::binary) << model;
  const auto tokenizer = T5Tokenizer::Load(CheckpointFolder(checkpoint.dir()));
  EXPECT_FALSE(MatchesGolden("t5/ids_512", EncodeAll(tokenizer, 512)));
}

}  // namespace
}  // namespace tessera
