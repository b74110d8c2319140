// Jobs whose epoch ends under them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/jobs/job_errors.h"
#include "tests/unit/server/jobs/scheduler_fixture.h"

namespace tessera {
namespace {

using internal::v1::ConnectResponse;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Submitted;

class RecoveryTest : public testing::SchedulerTest {
 protected:
  // Two ranks, 60 seconds after the third was lost for good.
  void ShrinkToTwo() {
    links_.pop_back();
    h_.Pass(60, links_);
    h_.Join(links_);
    ASSERT_EQ(h_.group.ranks(), 2);
  }
};

TEST_F(RecoveryTest, AnInterruptedJobRunsAgainOnTheNextEpochBeforeAllOthers) {
  StartReady();
  const Submitted job = Submit();
  const Submitted next = Submit();
  const internal::v1::RunJob first = links_[0]->Last(ConnectResponse::kRunJob).run_job();
  h_.SayStep(links_[0], first.key(), 0);
  LoseRank(1);
  EXPECT_EQ(job.listener->finished, 0);
  ReplaceRank(1);
  const internal::v1::RunJob second = links_[0]->Last(ConnectResponse::kRunJob).run_job();
  EXPECT_EQ(second.key().job_id(), job.id);
  EXPECT_EQ(second.key().attempt(), 2);
  EXPECT_EQ(second.key().epoch(), 2);
  EXPECT_EQ(second.request().SerializeAsString(), first.request().SerializeAsString());
  FinishRun();
  ASSERT_NE(job.listener->success(), nullptr);
  EXPECT_EQ(job.listener->success()->metadata.attempts(), 2);
  EXPECT_EQ(job.listener->success()->metadata.ranks(), 3);
  EXPECT_EQ(job.listener->success()->metadata.first_attempt_ranks(), 3);
  EXPECT_THAT(job.listener->attempts, ElementsAre(1, 2));
  EXPECT_EQ(RunningJob(), next.id);
  EXPECT_EQ(counter_.tallies().attempts(), 3);
}

TEST_F(RecoveryTest, AJobThatBreaksItsGroupEveryTimeIsInternalAndAlone) {
  StartReady();
  const Submitted poison = Submit();
  const Submitted next = Submit();
  for (int lost : {1, 0, 1}) {
    EXPECT_EQ(poison.listener->finished, 0);
    LoseRank(lost);
    ReplaceRank(lost);
  }
  ASSERT_EQ(poison.listener->code(), absl::StatusCode::kInternal);
  EXPECT_EQ(poison.listener->error()->reason, reason::kJobBreaksWorkers);
  EXPECT_EQ(poison.listener->error()->metadata.at("attempts"), "3");
  EXPECT_FALSE(poison.listener->error()->retry_after_s.has_value());
  EXPECT_EQ(RunningJob(), next.id);
  FinishRun();
  EXPECT_NE(next.listener->success(), nullptr);
}

TEST_F(RecoveryTest, SilenceIsNotTheJobsFault) {
  StartReady();
  const Submitted job = Submit();
  LoseRank(1);
  ReplaceRank(1);
  // The host of rank 2 is gone.
  const internal::v1::JobKey key = h_.RunningKey(links_[0]);
  h_.Pass(3, {links_[0], links_[1]});
  for (int survivor : {0, 1}) {
    h_.SayDone(links_[survivor], key, absl::UnavailableError("peer lost"), false);
    h_.SayEnded(links_[survivor], key.epoch());
  }
  ReplaceRank(2);
  LoseRank(1);
  ASSERT_EQ(job.listener->code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(job.listener->error()->reason, reason::kWorkerLost);
  EXPECT_THAT(job.listener->error()->message, HasSubstr("3 attempts"));
  EXPECT_TRUE(job.listener->error()->retry_after_s.has_value());
}

TEST_F(RecoveryTest, OneAttemptIsAllWhereNoMoreAreAllowed) {
  StartReady({.max_queue_length = 2, .retry = {.max_attempts = 1}});
  const Submitted job = Submit();
  LoseRank(1);
  EXPECT_EQ(job.listener->code(), absl::StatusCode::kUnavailable);
}

TEST_F(RecoveryTest, AStopThatNobodyAskedForIsAnInterruption) {
  StartReady();
  const Submitted job = Submit();
  FinishRun(absl::CancelledError("?"));
  EXPECT_EQ(job.listener->finished, 0);
  EXPECT_EQ(h_.RunningKey(links_[0]).attempt(), 2);
}

TEST_F(RecoveryTest, TheRetryWindowEndsTheWaitForAGroup) {
  StartReady({.max_queue_length = 2, .retry = {.retry_window_s = 30}});
  const Submitted job = Submit();
  LoseRank(1);
  EXPECT_EQ(SecondsBetween(h_.clock.Now(), scheduler_->NextDue()), 30);
  h_.clock.Advance(29);
  scheduler_->OnTime(h_.clock.Now());
  EXPECT_EQ(job.listener->finished, 0);
  h_.clock.Advance(1);
  scheduler_->OnTime(h_.clock.Now());
  EXPECT_EQ(job.listener->code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(job.listener->error()->reason, reason::kWorkerLost);
}

TEST_F(RecoveryTest, AnInterruptedJobWaitsForAsManyRanksWhileOthersRun) {
  StartReady({.max_queue_length = 2});
  const Submitted job = Submit();
  LoseRank(2);
  ShrinkToTwo();
  EXPECT_EQ(job.listener->finished, 0);
  const Submitted other = Submit();
  EXPECT_EQ(RunningJob(), other.id);
  links_.push_back(h_.Arrive(2));
  const internal::v1::JobKey key = h_.RunningKey(links_[0]);
  h_.SayPictures(links_[0], key);
  for (int rank : {0, 1}) {
    h_.SayDone(links_[rank], key);
    h_.SayEnded(links_[rank], key.epoch());
  }
  ASSERT_NE(other.listener->success(), nullptr);
  EXPECT_EQ(other.listener->success()->metadata.ranks(), 2);
  h_.Join(links_);
  EXPECT_EQ(RunningJob(), job.id);
}

TEST_F(RecoveryTest, AJobRunsAgainOnFewerRanksWhereItsRequestAllowsItAndTheReplySaysSo) {
  StartReady();
  v1::GenerateImageRequest request;
  request.set_allow_ranks_change(true);
  const Submitted job = Submit(request);
  LoseRank(2);
  ShrinkToTwo();
  EXPECT_EQ(RunningJob(), job.id);
  FinishRun();
  ASSERT_NE(job.listener->success(), nullptr);
  EXPECT_EQ(job.listener->success()->metadata.ranks(), 2);
  EXPECT_EQ(job.listener->success()->metadata.first_attempt_ranks(), 3);
}

TEST_F(RecoveryTest, ACancelledJobDoesNotRunAgain) {
  StartReady();
  const Submitted job = Submit();
  scheduler_->Cancel(job.id);
  LoseRank(1);
  EXPECT_EQ(job.listener->code(), absl::StatusCode::kCancelled);
  ReplaceRank(1);
  EXPECT_EQ(counter_.tallies().attempts(), 1);
}

TEST_F(RecoveryTest, AnInterruptedJobMayBeCancelledWhileItWaits) {
  StartReady();
  const Submitted job = Submit();
  LoseRank(1);
  scheduler_->Cancel(job.id);
  EXPECT_EQ(job.listener->code(), absl::StatusCode::kCancelled);
  ReplaceRank(1);
  EXPECT_TRUE(h_.group.ready());
}

TEST_F(RecoveryTest, DrainingWaitsForAnInterruptedJob) {
  StartReady();
  const Submitted job = Submit();
  int drained = 0;
  scheduler_->Drain([&] { ++drained; });
  LoseRank(1);
  EXPECT_EQ(drained, 0);
  ReplaceRank(1);
  FinishRun();
  EXPECT_NE(job.listener->success(), nullptr);
  EXPECT_EQ(drained, 1);
}

}  // namespace
}  // namespace tessera
