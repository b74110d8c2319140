#include "common/model/fingerprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include "common/model/checkpoint_folder.h"
#include "tests/unit/common/model/checkpoint_configs.h"

namespace tessera {
namespace {

using testing::CheckpointConfigs;

std::string Fingerprint(const CheckpointConfigs& configs) {
  const auto fingerprint = CheckpointFingerprint(CheckpointFolder(configs.dir()));
  EXPECT_TRUE(fingerprint.ok()) << fingerprint.status();
  return fingerprint.value_or("");
}

TEST(FingerprintTest, IsTheSameForTheSameFilesAnywhere) {
  const CheckpointConfigs one;
  const CheckpointConfigs other;
  EXPECT_EQ(Fingerprint(one), Fingerprint(other));
  EXPECT_THAT(Fingerprint(one), ::testing::MatchesRegex("[0-9a-f]{16}"));
}

TEST(FingerprintTest, DoesNotCountTesseraJson) {
  const CheckpointConfigs configs;
  const std::string before = Fingerprint(configs);
  configs.Write("tessera.json", "{}");
  EXPECT_EQ(Fingerprint(configs), before);
}

TEST(FingerprintTest, ChangesWithEveryFile) {
  const CheckpointConfigs configs;
  std::set<std::string> seen = {Fingerprint(configs)};
  for (const char* file :
       {"model_index.json", "scheduler/scheduler_config.json", "tokenizer/merges.txt",
        "tokenizer_2/spiece.model", "text_encoder/config.json", "vae/config.json",
        "text_encoder/model.safetensors", "text_encoder_2/model.safetensors",
        "transformer/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors"}) {
    configs.Write(file, std::string("changed"));
    EXPECT_TRUE(seen.insert(Fingerprint(configs)).second) << file;
  }
}

TEST(FingerprintTest, TellsWhichFileHoldsTheBytes) {
  const CheckpointConfigs configs;
  configs.Write("tokenizer/vocab.json", "a");
  const std::string vocab = Fingerprint(configs);
  std::filesystem::rename(configs.dir() + "/tokenizer/vocab.json",
                          configs.dir() + "/tokenizer/merges.txt");
  EXPECT_NE(Fingerprint(configs), vocab);
}

// A weight file of 64 MiB with `header` bytes of header, one byte of it set.
void WriteLargeWeights(const CheckpointConfigs& configs, size_t position) {
  std::string bytes(64 << 20, '\0');
  bytes[2] = 1;  // a header of 65,536 bytes
  bytes[position] = 'x';
  configs.Write("transformer/diffusion_pytorch_model.safetensors", bytes);
}

TEST(FingerprintTest, SamplesALargeFileAtBothEndsAndBetweenAndReadsItsHeaderWhole) {
  const CheckpointConfigs configs;
  std::set<std::string> seen;
  const size_t size = 64 << 20;
  const size_t stride = (size - 65536) / 15;
  for (const size_t position : {size_t{8}, size_t{8 + 65535}, 7 * stride + 100, size - 20}) {
    WriteLargeWeights(configs, position);
    EXPECT_TRUE(seen.insert(Fingerprint(configs)).second) << position;
  }
}

TEST(FingerprintTest, SurvivesAHeaderLargerThanTheFile) {
  const CheckpointConfigs configs;
  configs.Write("vae/diffusion_pytorch_model.safetensors", std::string(2 << 20, '\xff'));
  EXPECT_FALSE(Fingerprint(configs).empty());
}

TEST(FingerprintTest, ReadsShardsByTheIndex) {
  const CheckpointConfigs configs;
  const std::string folder = configs.dir() + "/transformer/";
  std::filesystem::rename(folder + "diffusion_pytorch_model.safetensors", folder + "a.safetensors");
  configs.Write("transformer/diffusion_pytorch_model.safetensors.index.json",
                R"({"weight_map": {"w": "a.safetensors"}})");
  const std::string before = Fingerprint(configs);
  configs.Write("transformer/a.safetensors", "changed");
  EXPECT_NE(Fingerprint(configs), before);
}

// diffusers reads the index of the transformer and the VAE, transformers the encoders' single file.
TEST(FingerprintTest, CoversWhatIsReadWhereASingleFileStandsBesideAnIndex) {
  for (const auto& [stem, index_is_read] :
       {std::pair<std::string, bool>{"transformer/diffusion_pytorch_model", true},
        {"vae/diffusion_pytorch_model", true},
        {"text_encoder/model", false},
        {"text_encoder_2/model", false}}) {
    const CheckpointConfigs configs;
    const std::string shard = stem.substr(0, stem.find('/')) + "/a.safetensors";
    configs.Write(stem + ".safetensors.index.json", R"({"weight_map": {"w": "a.safetensors"}})");
    configs.Write(shard, "a shard");
    const std::string before = Fingerprint(configs);
    configs.Write(index_is_read ? stem + ".safetensors" : shard, "not read");
    EXPECT_EQ(Fingerprint(configs), before) << stem;
    configs.Write(index_is_read ? shard : stem + ".safetensors", "read");
    EXPECT_NE(Fingerprint(configs), before) << stem;
  }
}

}  // namespace
}  // namespace tessera
