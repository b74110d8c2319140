#include "common/job/job_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr StepSchedule kExactSteps = {.sync_steps = 1, .refresh_every = 1};
constexpr StepSchedule kStaleSteps = {.sync_steps = 1, .refresh_every = 0};

// 8 image tokens and 4 text tokens; no step is stale.
JobSize Small() {
  return {.width = 64,
          .height = 32,
          .images = 1,
          .steps = 3,
          .text_tokens = 4,
          .image_tokens = 8,
          .schedule = kExactSteps};
}

TEST(JobMemoryTest, LayersShareABufferUnlessKeysAndValuesOutliveTheirStep) {
  const MemoryCosts costs = {.layers = 10, .kv_row = 100};
  JobSize size = Small();
  size.schedule = kStaleSteps;
  EXPECT_EQ(NeedOf(size, costs).kv_cache, 12 * 100);  // one rank has no stale steps
  size.ranks = 3;
  EXPECT_EQ(NeedOf(size, costs).kv_cache, 10 * 12 * 100);
  size.schedule = kExactSteps;
  EXPECT_EQ(NeedOf(size, costs).kv_cache, 12 * 100);
}

TEST(JobMemoryTest, EveryPassAndPictureHasACache) {
  const MemoryCosts costs = {.layers = 10, .kv_row = 100};
  JobSize size = Small();
  size.images = 4;
  size.true_cfg = true;
  EXPECT_EQ(NeedOf(size, costs).kv_cache, 2 * 4 * 12 * 100);
}

TEST(JobMemoryTest, OneLayerIsOpenWhereLayersAreStoredPacked) {
  const MemoryCosts costs = {.layers = 10, .kv_row = 60, .open_layer_row = 100};
  JobSize size = Small();
  size.ranks = 2;
  size.schedule = kStaleSteps;
  size.true_cfg = true;
  EXPECT_EQ(NeedOf(size, costs).kv_cache, 2 * 12 * (10 * 60 + 100));
}

TEST(JobMemoryTest, ARankComputesTheLongestChunks) {
  const MemoryCosts costs = {.computed_row = 100};
  JobSize size = Small();
  size.ranks = 3;
  EXPECT_EQ(NeedOf(size, costs).activations, (2 + 3) * 100);
  size.text_mode = TextMode::kReplicated;
  EXPECT_EQ(NeedOf(size, costs).activations, (4 + 3) * 100);
}

TEST(JobMemoryTest, TextDenoisingAndDecodingDoNotExistAtOneTime) {
  const MemoryCosts costs = {.computed_row = 100, .text_token = 200, .decoded_pixel = 1};
  EXPECT_EQ(NeedOf(Small(), costs).activations, 64 * 32);  // above 12 * 100 and 4 * 200
}

TEST(JobMemoryTest, RecordedStepsKeepTheirActivationsBesideAllElse) {
  const MemoryCosts costs = {.layers = 1, .kv_row = 7, .recorded_row = 100, .decoded_pixel = 1};
  JobSize size = Small();
  EXPECT_EQ(NeedOf(size, costs).recorded, 12 * 100);
  size.ranks = 3;
  EXPECT_EQ(NeedOf(size, costs).recorded, 0);  // every step exchanges
  size.schedule = kStaleSteps;
  const MemoryNeed need = NeedOf(size, costs);
  EXPECT_EQ(need.recorded, (2 + 3) * 100);
  EXPECT_EQ(need.activations, 64 * 32);
  EXPECT_EQ(need.total(), 12 * 7 + 500 + 64 * 32);
}

TEST(JobMemoryTest, TheBandsOfALargePictureAreBounded) {
  MemoryCosts costs = {.decoded_pixel = 1, .max_bands = 1000};
  EXPECT_EQ(NeedOf(Small(), costs).activations, 64 * 32 + 1000);
  costs.max_bands = 1 << 30;
  EXPECT_GT(NeedOf(Small(), costs).activations, 64 * 32);
  EXPECT_LT(NeedOf(Small(), costs).activations, 20 * 64 * 32);
}

TEST(JobMemoryTest, ASumBeyondTheRangeIsLarge) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  const MemoryNeed need =
      NeedOf({.width = most, .height = most, .images = most, .image_tokens = most},
             {.layers = most, .kv_row = most, .decoded_pixel = most});
  EXPECT_GT(need.kv_cache, int64_t{1} << 60);
  EXPECT_GT(need.activations, int64_t{1} << 60);
  EXPECT_GT(need.total(), int64_t{1} << 60);
}

TEST(JobMemoryTest, WhatFitsIsTaken) {
  const MemoryCosts costs = {.computed_row = 100};
  EXPECT_TRUE(CheckFits(Small(), {costs, 1200}).ok());
  EXPECT_FALSE(CheckFits(Small(), {costs, 1199}).ok());
}

TEST(JobMemoryTest, RanksOfOneHostShareWhatThereIs) {
  JobSize size = Small();
  size.ranks = 2;  // (2 + 4) rows each
  EXPECT_TRUE(CheckFits(size, {{.computed_row = 100}, 1200, /*shared=*/true}).ok());
  EXPECT_FALSE(CheckFits(size, {{.computed_row = 100}, 1199, /*shared=*/true}).ok());
}

TEST(JobMemoryTest, TheErrorNamesFieldsAndSums) {
  const MemoryCosts costs = {.layers = 1, .kv_row = 1 << 20, .computed_row = 1 << 20};
  JobSize size = Small();
  const absl::Status status = CheckFits(size, {costs, 5 << 20});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("width 64, height 32, num_images 1, max_sequence_length 4"),
                    HasSubstr("on 1 rank take 24 MiB"), HasSubstr("12 MiB for keys and values"),
                    HasSubstr("it has 5 MiB"), Not(HasSubstr("negative_prompt"))));
  size.true_cfg = true;
  EXPECT_THAT(std::string(CheckFits(size, {costs, 5 << 20}).message()),
              HasSubstr("negative_prompt"));
}

}  // namespace
}  // namespace tessera
