#include "worker/sampling/flow_match_scheduler.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "common/model/checkpoint_folder.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class SchedulerConfigTest : public ::testing::Test {
 protected:
  SchedulerConfigTest() {
    dir_ = ::testing::TempDir() + "/scheduler_" +
           ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(dir_ + "/scheduler");
  }
  ~SchedulerConfigTest() override { std::filesystem::remove_all(dir_); }

  // Reads a config with these fields besides the class name.
  absl::StatusOr<SchedulerConfig> Read(const std::string& fields) {
    std::ofstream(dir_ + "/scheduler/scheduler_config.json")
        << R"({"_class_name": "FlowMatchEulerDiscreteScheduler")" << fields << "}";
    return ReadSchedulerConfig(CheckpointFolder(dir_));
  }

  std::string dir_;
};

TEST_F(SchedulerConfigTest, TakesDefaultsOfTheLibrary) {
  const auto config = Read("");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->num_train_timesteps, 1000);
  EXPECT_EQ(config->shift, 1.0);
  EXPECT_FALSE(config->use_dynamic_shifting);
  EXPECT_EQ(config->base_shift, 0.5);
  EXPECT_EQ(config->max_shift, 1.15);
  EXPECT_EQ(config->base_image_seq_len, 256);
  EXPECT_EQ(config->max_image_seq_len, 4096);
}

TEST_F(SchedulerConfigTest, NamesFileAndEverySwitchItLacks) {
  const auto status = Read(R"(, "use_karras_sigmas": true, "invert_sigmas": true, "use_new": true,
                              "stochastic_sampling": false, "shift_terminal": 0.1)")
                          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("scheduler/scheduler_config.json"), HasSubstr("use_karras_sigmas"),
                    HasSubstr("invert_sigmas"), HasSubstr("use_new"), HasSubstr("shift_terminal"),
                    Not(HasSubstr("stochastic_sampling"))));
}

TEST_F(SchedulerConfigTest, RejectsWrongValues) {
  const auto status = Read(R"(, "shift": "3", "max_shift": true, "time_shift_type": "cubic",
                              "num_train_timesteps": 0)")
                          .status();
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("shift: expected a finite number, found '3'"), HasSubstr("max_shift"),
                    HasSubstr("time_shift_type: expected exponential or linear, found 'cubic'"),
                    HasSubstr("num_train_timesteps: expected an integer from 1")));
}

TEST_F(SchedulerConfigTest, RejectsEqualSequenceLengthsOnlyWithDynamicShifting) {
  const std::string equal = R"(, "base_image_seq_len": 256, "max_image_seq_len": 256)";
  EXPECT_TRUE(Read(equal).ok());
  EXPECT_THAT(Read(equal + R"(, "use_dynamic_shifting": true)").status().ToString(),
              HasSubstr("max_image_seq_len"));
}

TEST_F(SchedulerConfigTest, RejectsAnotherScheduler) {
  EXPECT_THAT(Read(R"(, "_class_name": "DDIMScheduler")").status().ToString(),
              HasSubstr("_class_name"));
}

TEST_F(SchedulerConfigTest, MissingFileIsNotFound) {
  EXPECT_EQ(ReadSchedulerConfig(CheckpointFolder(dir_ + "/none")).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(ScheduleTest, WithoutShiftIsEvenlySpaced) {
  const Schedule schedule = MakeSchedule(SchedulerConfig{}, 4, 4096);
  EXPECT_THAT(schedule.sigmas, ElementsAre(1.0F, 0.75F, 0.5F, 0.25F, 0.0F));
  EXPECT_THAT(schedule.timesteps, ElementsAre(1000.0F, 750.0F, 500.0F, 250.0F));
}

TEST(ScheduleTest, OneStepGoesFromNoiseToNothing) {
  EXPECT_THAT(MakeSchedule(SchedulerConfig{}, 1, 16).sigmas, ElementsAre(1.0F, 0.0F));
}

TEST(ScheduleTest, LinearTimeShiftUsesMuItself) {
  SchedulerConfig config;
  config.use_dynamic_shifting = true;
  config.time_shift = TimeShift::kLinear;
  const Schedule schedule = MakeSchedule(config, 2, 256);
  EXPECT_DOUBLE_EQ(schedule.mu, 0.5);
  // mu / (mu + (1 / 0.5 - 1))
  EXPECT_FLOAT_EQ(schedule.sigmas[1], 0.5F / 1.5F);
}

TEST(EulerStepTest, MovesLatentsInPlace) {
  at::Tensor latents = at::ones({2, 3}, at::kFloat);
  const at::Tensor alias = latents;
  EulerStep(latents, at::full({2, 3}, 2.0F, at::kFloat), 1.0F, 0.75F, {});
  EXPECT_TRUE(at::equal(alias, at::full({2, 3}, 0.5F, at::kFloat)));
}

TEST(EulerStepTest, RoundsFactorProductAndSum) {
  at::Tensor latents = at::full({1}, -1.9140625, at::kBFloat16);
  EulerStep(latents, at::full({1}, -3.859375, at::kBFloat16), 0.3F, 0.0F, {});
  // -0.7578125 if the factor were not rounded, -0.75390625 if the product were not.
  EXPECT_TRUE(at::equal(latents, at::full({1}, -0.75, at::kBFloat16)));
}

}  // namespace
}  // namespace tessera
