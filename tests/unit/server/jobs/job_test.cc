#include "server/jobs/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "server/jobs/job_errors.h"
#include "tests/unit/server/jobs/recording_listener.h"

namespace tessera {
namespace {

using testing::RecordingListener;

constexpr JobState kAll[] = {JobState::kQueued,    JobState::kRunning,   JobState::kStopping,
                             JobState::kEncoding,  JobState::kSucceeded, JobState::kFailed,
                             JobState::kCancelled, JobState::kExpired};

TEST(JobStateTest, HasExactlyTheLegalTransitions) {
  using enum JobState;
  const std::set<std::pair<JobState, JobState>> legal = {
      {kQueued, kRunning},     {kQueued, kFailed},      {kQueued, kCancelled},
      {kQueued, kExpired},     {kRunning, kStopping},   {kRunning, kEncoding},
      {kRunning, kFailed},     {kRunning, kQueued},     {kEncoding, kSucceeded},
      {kEncoding, kFailed},    {kEncoding, kCancelled}, {kEncoding, kExpired},
      {kStopping, kCancelled}, {kStopping, kExpired},
  };
  for (JobState from : kAll) {
    for (JobState to : kAll) {
      EXPECT_EQ(IsLegalTransition(from, to), legal.contains({from, to}))
          << JobStateName(from) << " -> " << JobStateName(to);
    }
  }
}

TEST(JobStateTest, TerminalStatesAreThoseThatNothingFollows) {
  for (JobState from : kAll) {
    bool has_next = false;
    for (JobState to : kAll) has_next |= IsLegalTransition(from, to);
    EXPECT_EQ(IsTerminal(from), !has_next) << JobStateName(from);
  }
}

class JobTest : public ::testing::Test {
 protected:
  Job MakeJob() {
    Job job({.id = "job-1", .request = {}, .submitted_at = TimePoint()}, listener_);
    v1::GenerateImageRequest effective;
    effective.set_num_inference_steps(2);
    job.Resolve(effective, {});
    return job;
  }

  std::shared_ptr<RecordingListener> listener_ = std::make_shared<RecordingListener>();
};

TEST_F(JobTest, TellsTheListenerOnceHowItEnds) {
  Job job = MakeJob();
  job.StartAttempt(TimePoint(), 3);
  job.StartEncoding();
  job.Finish(JobState::kSucceeded, JobSuccess{});
  EXPECT_EQ(job.state(), JobState::kSucceeded);
  EXPECT_EQ(listener_->finished, 1);
}

TEST_F(JobTest, CountsAttemptsAndStartsProgressOver) {
  Job job = MakeJob();
  job.StartAttempt(TimePoint(), 3);
  job.SetStage(JobStage::kDenoise);
  job.SetStepsDone(2);
  job.RunAgain();
  job.StartAttempt(TimePoint(), 3);
  EXPECT_EQ(job.attempt().number, 2);
  EXPECT_EQ(job.stage(), JobStage::kMemoryPlan);
  EXPECT_EQ(job.attempt().steps_done, 0);
}

TEST_F(JobTest, NamesItsStage) {
  Job job = MakeJob();
  EXPECT_EQ(StageName(job.stage()), "queue");
  job.StartAttempt(TimePoint(), 3);
  EXPECT_EQ(StageName(job.stage()), "memory_plan");
  job.SetStage(JobStage::kTextEncode);
  EXPECT_EQ(StageName(job.stage()), "text_encode");
  job.SetStage(JobStage::kDenoise);
  EXPECT_EQ(StageName(job.stage()), "denoise");
  job.SetStage(JobStage::kVaeDecode);
  EXPECT_EQ(StageName(job.stage()), "vae_decode");
  job.StartEncoding();
  EXPECT_EQ(StageName(job.stage()), "png");
}

TEST_F(JobTest, TellsAPositionOnlyWhenItChanges) {
  Job job = MakeJob();
  job.TellPosition(2, std::nullopt);
  job.TellPosition(2, 1.5);
  job.TellPosition(1, std::nullopt);
  EXPECT_THAT(listener_->positions, ::testing::ElementsAre(2, 1));
}

using JobDeathTest = JobTest;

TEST_F(JobDeathTest, DiesOfASecondEnd) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Job job = MakeJob();
  job.Finish(JobState::kCancelled, Cancelled(job));
  EXPECT_DEATH(job.Finish(JobState::kFailed, Cancelled(job)), "legal transition");
}

}  // namespace
}  // namespace tessera
