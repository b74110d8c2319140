#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/model/checkpoint_folder.h"
#include "tests/support/golden.h"
#include "worker/sampling/flow_match_scheduler.h"
#include "worker/sampling/latents.h"
#include "worker/sampling/noise.h"

namespace tessera {
namespace {

using testing::CheckpointCopy;
using testing::Golden;
using testing::GoldenBf16;
using testing::MatchesGolden;
using testing::MatchesGoldenBf16;

constexpr int64_t kChannels = 16;
constexpr int64_t kPixelScale = 8;

at::Tensor AsTensor(const std::vector<float>& values) {
  return at::tensor(at::ArrayRef<float>(values));
}

struct ScheduleCase {
  std::string model;  // dev: the tiny checkpoint's own config
  int64_t width, height;
  int steps;
};

std::string NameOf(const ScheduleCase& c) {
  return absl::StrCat(c.model, "_", c.width, "x", c.height, "_", c.steps);
}

SchedulerConfig ConfigOf(const std::string& model) {
  const CheckpointCopy checkpoint;
  if (model == "schnell") {
    checkpoint.EditJson("scheduler/scheduler_config.json",
                        R"({"use_dynamic_shifting": false, "shift": 1.0})");
  } else if (model == "shift3") {
    checkpoint.EditJson("scheduler/scheduler_config.json", R"({"use_dynamic_shifting": false})");
  }
  return ReadSchedulerConfig(CheckpointFolder(checkpoint.dir())).value();
}

class ScheduleGoldenTest : public ::testing::TestWithParam<ScheduleCase> {};

TEST_P(ScheduleGoldenTest, MuSigmasAndTimesteps) {
  const ScheduleCase& c = GetParam();
  const int64_t tokens = LatentShapeOf(c.width, c.height, kChannels, kPixelScale).tokens();
  const Schedule schedule = MakeSchedule(ConfigOf(c.model), c.steps, tokens);
  const std::string prefix = absl::StrCat("sched/", NameOf(c), "/");
  EXPECT_TRUE(MatchesGolden(prefix + "mu", at::full({1}, schedule.mu, at::kDouble)));
  EXPECT_TRUE(MatchesGolden(prefix + "sigmas", AsTensor(schedule.sigmas)));
  EXPECT_TRUE(MatchesGolden(prefix + "timesteps", AsTensor(schedule.timesteps)));
}

std::vector<ScheduleCase> ScheduleCases() {
  std::vector<ScheduleCase> cases;
  for (const auto& [width, height] : std::vector<std::pair<int64_t, int64_t>>{
           {64, 64}, {96, 128}, {512, 512}, {1024, 1024}, {1360, 768}, {2048, 2048}}) {
    for (const int steps : {1, 6, 28}) cases.push_back({"dev", width, height, steps});
  }
  for (const int steps : {1, 2, 4, 8}) cases.push_back({"schnell", 1024, 1024, steps});
  cases.push_back({"shift3", 1024, 1024, 6});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Models, ScheduleGoldenTest, ::testing::ValuesIn(ScheduleCases()),
                         [](const auto& test) { return NameOf(test.param); });

TEST(ScheduleGoldenTest, AnotherShiftIsSeen) {
  SchedulerConfig config = ConfigOf("dev");
  config.max_shift += 0.01;
  EXPECT_FALSE(MatchesGolden("sched/dev_512x512_28/sigmas",
                             AsTensor(MakeSchedule(config, 28, 1024).sigmas)));
}

TEST(NoiseGoldenTest, EqualsTheReferenceForEverySeed) {
  for (const uint64_t seed : {0ULL, 42ULL, 1234567ULL, 4294967295ULL, 4294967338ULL}) {
    EXPECT_TRUE(MatchesGolden(absl::StrCat("noise/seed", seed),
                              DrawNoise({1, kChannels, 8, 8}, at::kFloat, seed)));
  }
}

TEST(NoiseGoldenTest, EqualsTheReferenceForOtherShapes) {
  EXPECT_TRUE(
      MatchesGolden("noise/seed42_96x128", DrawNoise({1, kChannels, 12, 16}, at::kFloat, 42)));
  EXPECT_TRUE(
      MatchesGolden("noise/seed42_batch2", DrawNoise({2, kChannels, 8, 8}, at::kFloat, 42)));
}

TEST(NoiseGoldenTest, Bfloat16DrawsItsOwnNumbers) {
  EXPECT_TRUE(
      MatchesGoldenBf16("noise/seed42", DrawNoise({1, kChannels, 8, 8}, at::kBFloat16, 42)));
}

TEST(NoiseGoldenTest, AnotherSeedIsSeen) {
  EXPECT_FALSE(MatchesGolden("noise/seed42", DrawNoise({1, kChannels, 8, 8}, at::kFloat, 43)));
}

TEST(LatentsGoldenTest, PacksAndUnpacks) {
  const LatentShape shape = LatentShapeOf(64, 64, kChannels, kPixelScale);
  EXPECT_TRUE(MatchesGolden("noise/seed42_packed", PackLatents(Golden("noise/seed42"))));
  EXPECT_TRUE(MatchesGolden("noise/seed42", UnpackLatents(Golden("noise/seed42_packed"), shape)));
}

TEST(LatentsGoldenTest, RunsStartWhereTheReferenceStarts) {
  const LatentShape shape = LatentShapeOf(112, 80, kChannels, kPixelScale);
  EXPECT_TRUE(MatchesGolden("rot/start", InitialLatents(shape, 1, at::kFloat, 7)));
}

TEST(EulerStepGoldenTest, Bfloat16IsExact) {
  const Schedule schedule = MakeSchedule(ConfigOf("dev"), 6, 16);
  at::Tensor latents = GoldenBf16("step/latents").clone();
  EulerStep(latents, GoldenBf16("step/velocity"), schedule.sigmas[0], schedule.sigmas[1], {});
  EXPECT_TRUE(MatchesGoldenBf16("step/out", latents));
}

TEST(EulerStepGoldenTest, Float32FollowsTheRun) {
  const Schedule schedule = MakeSchedule(ConfigOf("dev"), 8, 35);
  const at::Tensor velocities = Golden("rot/n3_sync1_both_velocity");
  at::Tensor latents = Golden("rot/start").clone();
  for (int i = 0; i < 8; ++i) {
    EulerStep(latents, velocities[i], schedule.sigmas[i], schedule.sigmas[i + 1], {});
  }
  EXPECT_TRUE(MatchesGolden("rot/n3_sync1_both", latents));
}

}  // namespace
}  // namespace tessera
