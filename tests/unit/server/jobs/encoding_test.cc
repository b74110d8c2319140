// Jobs between their group and their client, while PNGs are made of their pixels.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/jobs/job_errors.h"
#include "tests/unit/server/jobs/scheduler_fixture.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::SchedulerTest;
using testing::Submitted;

class EncodingTest : public SchedulerTest {
 protected:
  EncodingTest() { encoder_.hold = true; }
};

TEST_F(EncodingTest, TheGroupBeginsItsNextJobMeanwhile) {
  StartReady();
  const Submitted first = Submit();
  const Submitted second = Submit();
  FinishRun();
  EXPECT_EQ(first.listener->finished, 0);
  EXPECT_EQ(RunningJob(), second.id);
  encoder_.FinishOne();
  ASSERT_NE(first.listener->success(), nullptr);
  EXPECT_THAT(first.listener->success()->pngs, ElementsAre("png"));
  EXPECT_EQ(second.listener->finished, 0);
}

TEST_F(EncodingTest, AnswersWithWhatTheGroupThatMadeItWas) {
  StartReady();
  const Submitted first = Submit();
  Submit();
  h_.Pass(2, links_);
  FinishRun();
  LoseRank(2);
  h_.clock.Advance(1);
  encoder_.FinishOne();
  ASSERT_NE(first.listener->success(), nullptr);
  const v1::GenerationMetadata& metadata = first.listener->success()->metadata;
  EXPECT_EQ(metadata.ranks(), 3);
  EXPECT_EQ(metadata.stage_seconds().png(), 1);
  EXPECT_EQ(metadata.stage_seconds().total(), 3);
}

TEST_F(EncodingTest, GetsThePixelsAndWhatDecidedThem) {
  StartReady();
  v1::GenerateImageRequest request;
  request.set_width(48);
  request.set_height(32);
  Submit(request);
  FinishRun();
  ASSERT_EQ(encoder_.asked.size(), 1u);
  const Pictures& pictures = encoder_.asked[0];
  EXPECT_THAT(pictures.rgb, ElementsAre(std::string(3 * 48 * 32, 'x')));
  EXPECT_EQ(pictures.width, 48);
  EXPECT_EQ(pictures.height, 32);
  EXPECT_THAT(pictures.settings, ::testing::Contains(::testing::Pair("seed", "42")));
}

TEST_F(EncodingTest, AGroupThatIsFasterWaits) {
  StartReady({.max_queue_length = 8});
  std::vector<Submitted> jobs;
  for (int i = 0; i < 6; ++i) jobs.push_back(Submit());
  for (int i = 0; i < 4; ++i) FinishRun();
  EXPECT_EQ(Runs(), 4);
  EXPECT_TRUE(h_.group.ready());
  encoder_.FinishOne();
  EXPECT_NE(jobs[0].listener->success(), nullptr);
  EXPECT_EQ(RunningJob(), jobs[4].id);
  FinishRun();
  EXPECT_EQ(Runs(), 5);
  scheduler_->Cancel(jobs[2].id);  // that makes room, too
  EXPECT_EQ(RunningJob(), jobs[5].id);
}

TEST_F(EncodingTest, AFailureIsTheJobsOwn) {
  StartReady();
  const Submitted job = Submit();
  h_.SayStep(links_[0], h_.RunningKey(links_[0]), 3);
  FinishRun();
  encoder_.FinishOne(absl::InternalError("libpng: no"));
  ASSERT_EQ(job.listener->code(), absl::StatusCode::kInternal);
  EXPECT_EQ(job.listener->error()->reason, reason::kGenerationFailed);
  EXPECT_THAT(job.listener->error()->message, HasSubstr("in png after 4 of 4 steps: libpng: no"));
  EXPECT_TRUE(h_.group.ready());
  EXPECT_EQ(counter_.tallies().failed(), 1);
}

TEST_F(EncodingTest, AClientThatLeavesIsAnsweredAtOnceAndItsPicturesAreDropped) {
  StartReady();
  const Submitted job = Submit();
  FinishRun();
  scheduler_->Cancel(job.id);
  EXPECT_EQ(job.listener->code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(job.listener->error()->message, HasSubstr("in png"));
  encoder_.FinishOne();
  EXPECT_EQ(job.listener->finished, 1);
  EXPECT_EQ(counter_.tallies().cancelled(), 1);
  EXPECT_EQ(counter_.tallies().succeeded(), 0);
}

TEST_F(EncodingTest, ADeadlineThatPassesIsAnsweredAtOnce) {
  StartReady();
  const Submitted job = Submit({}, 5);
  FinishRun();
  EXPECT_EQ(scheduler_->NextDue(), h_.clock.Now() + Seconds(5));
  h_.clock.Advance(5);
  scheduler_->OnTime(h_.clock.Now());
  EXPECT_EQ(job.listener->code(), absl::StatusCode::kDeadlineExceeded);
  encoder_.FinishOne();
  EXPECT_EQ(job.listener->finished, 1);
}

TEST_F(EncodingTest, AnotherCallMayMoveTheDeadline) {
  StartReady();
  const Submitted job = Submit({}, 5);
  FinishRun();
  scheduler_->ExtendDeadline(job.id, h_.clock.Now() + Seconds(9));
  h_.clock.Advance(6);
  scheduler_->OnTime(h_.clock.Now());
  EXPECT_EQ(job.listener->finished, 0);
}

TEST_F(EncodingTest, DrainingWaitsForThePictures) {
  StartReady();
  const Submitted job = Submit();
  FinishRun();
  bool drained = false;
  scheduler_->Drain([&] { drained = true; });
  EXPECT_FALSE(drained);
  encoder_.FinishOne();
  EXPECT_TRUE(drained);
  EXPECT_NE(job.listener->success(), nullptr);
}

TEST_F(EncodingTest, AServerThatStopsAnswersForThem) {
  StartReady();
  const Submitted job = Submit();
  FinishRun();
  scheduler_->FailAll(ServerStopped());
  EXPECT_EQ(job.listener->code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tessera
