#include "worker/pipeline/engine_settings.h"

#include <gtest/gtest.h>

#include <set>

namespace tessera {
namespace {

// The meanings of every choice of a setting.
template <typename Field, typename Meaning>
auto MeaningsOf(Field field, Meaning meaning) {
  std::set<decltype(meaning(WorkerSettings()))> meanings;
  size_t choices = 0;
  for (const WorkerSetting& row : WorkerSettingTable()) {
    if (row.field != decltype(row.field)(field)) continue;
    choices = row.choices.size();
    for (const std::string& choice : row.choices) {
      WorkerSettings settings;
      settings.*field = choice;
      meanings.insert(meaning(settings));
    }
  }
  EXPECT_EQ(meanings.size(), choices) << "two choices mean the same";
  return meanings;
}

TEST(EngineSettingsTest, EveryChoiceHasAMeaningOfItsOwn) {
  EXPECT_EQ(
      MeaningsOf(&WorkerSettings::text_encoder,
                 [](const auto& settings) { return PipelineOptionsOf(settings).text_encoder; }),
      (std::set{TextEncoderPlace::kEveryRank, TextEncoderPlace::kRank0, TextEncoderPlace::kCpu}));
  EXPECT_EQ(MeaningsOf(&WorkerSettings::collectives,
                       [](const auto& settings) { return CollectivesOf(settings); }),
            (std::set{Collectives::kGloo, Collectives::kNccl}));
  EXPECT_EQ(
      MeaningsOf(&WorkerSettings::cuda_path,
                 [](const auto& settings) { return PipelineOptionsOf(settings).kernels.gemm; }),
      (std::set{Gemm::kAten, Gemm::kCublasLt}));
}

TEST(EngineSettingsTest, TheDefaultsAreThoseOfTheEngine) {
  const PipelineOptions options = PipelineOptionsOf({});
  const PipelineOptions defaults;
  EXPECT_EQ(options.text_encoder, defaults.text_encoder);
  EXPECT_EQ(options.kernels, defaults.kernels);
  EXPECT_EQ(options.dtype, defaults.dtype);
  EXPECT_EQ(options.threads, defaults.threads);
  EXPECT_EQ(options.job_memory_bytes, defaults.job_memory_bytes);
}

TEST(EngineSettingsTest, NumbersAndPathsReachTheEngine) {
  const PipelineOptions options = PipelineOptionsOf(
      {.dtype = "bfloat16", .threads = 3, .job_memory_mb = 5, .weight_cache = "/cache"});
  EXPECT_EQ(options.dtype, "bfloat16");
  EXPECT_EQ(options.threads, 3);
  EXPECT_EQ(options.job_memory_bytes, 5 << 20);
  EXPECT_EQ(options.weight_cache_dir, "/cache");
}

}  // namespace
}  // namespace tessera
