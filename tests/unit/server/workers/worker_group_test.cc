#include "server/workers/worker_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/server/workers/group_harness.h"
#include "tests/unit/server/workers/recording_group_listener.h"

namespace tessera {
namespace {

using internal::v1::ConnectResponse;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::RecordingGroupListener;

class WorkerGroupTest : public ::testing::Test {
 protected:
  using Link = testing::GroupHarness::Link;

  WorkerGroupTest() { group_.SetListener(listener_); }

  std::vector<Link> ArriveAll() { return {h_.Arrive(0), h_.Arrive(1), h_.Arrive(2)}; }
  std::vector<Link> MakeReady() {
    std::vector<Link> links = ArriveAll();
    h_.Join(links);
    EXPECT_EQ(group_.state(), v1::GROUP_STATE_READY);
    return links;
  }
  internal::v1::JobKey Run(double step_limit_s = 10) {
    RunRequest run;
    run.message.mutable_key()->set_job_id("job");
    run.message.mutable_key()->set_attempt(1);
    run.message.mutable_request()->set_num_images(1);
    run.message.mutable_request()->set_width(2);
    run.message.mutable_request()->set_height(1);
    run.message.mutable_request()->set_num_inference_steps(4);
    run.limits = {.first_step_s = 20, .step_s = step_limit_s, .finish_s = 10};
    group_.Run(run);
    EXPECT_EQ(group_.state(), v1::GROUP_STATE_BUSY);
    internal::v1::JobKey key = run.message.key();
    key.set_epoch(group_.Describe().epoch());
    return key;
  }

  testing::GroupHarness h_{WorkerGroupOptions{.size = 3}};
  WorkerGroup& group_ = h_.group;
  RecordingGroupListener listener_;
};

TEST_F(WorkerGroupTest, WaitsForAllWorkers) {
  EXPECT_THAT(group_.reason(), HasSubstr("0 of 3"));
  h_.Arrive(0);
  h_.Arrive(1);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_WAITING);
  EXPECT_THAT(group_.reason(), HasSubstr("2 of 3"));
}

TEST_F(WorkerGroupTest, FormsAnEpoch) {
  const auto links = ArriveAll();
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_FORMING);
  EXPECT_EQ(links[0]->Last(ConnectResponse::kHostStore).host_store().epoch(), 1);
  EXPECT_EQ(links[1]->Count(ConnectResponse::kHostStore), 0);
  h_.SayStoreReady(links[0], 1);
  for (int rank = 0; rank < 3; ++rank) {
    const internal::v1::JoinGroup& join =
        links[rank]->Last(ConnectResponse::kJoinGroup).join_group();
    EXPECT_EQ(join.epoch(), 1);
    EXPECT_EQ(join.rank(), rank);
    EXPECT_EQ(join.size(), 3);
    EXPECT_EQ(join.store_host(), "127.0.0.1");
    EXPECT_EQ(join.store_port(), 4242);
    EXPECT_EQ(join.join_timeout_ms(), 30'000);
    EXPECT_FALSE(group_.ready());
    h_.SayJoined(links[rank], 1);
  }
  EXPECT_TRUE(group_.ready());
  EXPECT_EQ(listener_.changed, 1);
}

TEST_F(WorkerGroupTest, DropsMessagesOfAnotherEpochWhileForming) {
  const auto links = ArriveAll();
  h_.SayStoreReady(links[0], 7);
  EXPECT_EQ(links[0]->Count(ConnectResponse::kJoinGroup), 0);
  h_.SayStoreReady(links[1], 1);  // not rank 0
  EXPECT_EQ(links[0]->Count(ConnectResponse::kJoinGroup), 0);
  h_.SayStoreReady(links[0], 1);
  for (const Link& link : links) h_.SayJoined(link, 0);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_FORMING);
}

TEST_F(WorkerGroupTest, FormsAgainAfterABackoffWhenARankCannotJoin) {
  const auto links = ArriveAll();
  h_.SayStoreReady(links[0], 1);
  h_.SayJoined(links[1], 1, absl::UnavailableError("no route"));
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_ENDING);
  for (const Link& link : links) {
    EXPECT_EQ(link->Count(ConnectResponse::kEndEpoch), 1);
    h_.SayEnded(link, 1);
  }
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_BROKEN);
  EXPECT_THAT(group_.reason(), HasSubstr("rank 1 could not join: no route"));
  h_.Pass(0.25, links);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_FORMING);
  EXPECT_EQ(links[0]->Last(ConnectResponse::kHostStore).host_store().epoch(), 2);
}

TEST_F(WorkerGroupTest, GivesUpAfterSixFailuresButKeepsTrying) {
  const auto links = ArriveAll();
  for (int failure = 1; failure <= 6; ++failure) {
    EXPECT_FALSE(group_.gave_up());
    ASSERT_EQ(group_.state(), v1::GROUP_STATE_FORMING);
    const int64_t epoch = group_.Describe().epoch();
    h_.SayStoreReady(links[0], epoch);
    h_.SayJoined(links[2], epoch, absl::UnavailableError("no route"));
    for (const Link& link : links) h_.SayEnded(link, epoch);
    if (failure < 6) h_.Pass(10, links);
  }
  EXPECT_TRUE(group_.gave_up());
  EXPECT_EQ(listener_.changed, 1);
  h_.Pass(10, links);
  h_.Join(links);
  EXPECT_TRUE(group_.ready());
  EXPECT_FALSE(group_.gave_up());
}

TEST_F(WorkerGroupTest, EndsAnEpochThatDoesNotForm) {
  const auto links = ArriveAll();
  h_.SayStoreReady(links[0], 1);
  h_.SayJoined(links[0], 1);
  h_.Pass(39, links);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_FORMING);
  h_.Pass(1, links);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_ENDING);
}

TEST_F(WorkerGroupTest, BroadcastsAJobToEveryRank) {
  const auto links = MakeReady();
  Run();
  for (const Link& link : links) {
    const internal::v1::JobKey key = h_.RunningKey(link);
    EXPECT_EQ(key.job_id(), "job");
    EXPECT_EQ(key.attempt(), 1);
    EXPECT_EQ(key.epoch(), 1);
  }
}

TEST_F(WorkerGroupTest, FinishesWhenEveryRankHasReported) {
  const auto links = MakeReady();
  const auto key = Run();
  for (int step = 0; step < 4; ++step) h_.SayStep(links[0], key, step);
  h_.SayPixels(links[0], key, "pixels");
  h_.SayDone(links[0], key);
  h_.SayDone(links[1], key);
  EXPECT_THAT(listener_.results, IsEmpty());
  h_.SayDone(links[2], key);
  ASSERT_EQ(listener_.results.size(), 1u);
  EXPECT_EQ(listener_.results[0].outcome, RunOutcome::kSucceeded);
  EXPECT_THAT(listener_.steps, ElementsAre(1, 2, 3, 4));
  EXPECT_TRUE(group_.ready());
}

TEST_F(WorkerGroupTest, DropsStaleMessages) {
  const auto links = MakeReady();
  const auto key = Run();
  auto other_job = key;
  other_job.set_job_id("another");
  auto other_attempt = key;
  other_attempt.set_attempt(2);
  auto other_epoch = key;
  other_epoch.set_epoch(9);
  for (const auto& stale : {other_job, other_attempt, other_epoch}) {
    h_.SayStep(links[0], stale, 0);
    h_.SayPixels(links[0], stale, "wrong");
    for (const Link& link : links) h_.SayDone(link, stale, absl::InternalError("wrong"), false);
  }
  h_.SayStep(links[1], key, 0);  // not rank 0
  EXPECT_THAT(listener_.steps, IsEmpty());
  EXPECT_THAT(listener_.results, IsEmpty());
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_BUSY);
  h_.SayPixels(links[0], key, "rights");
  for (const Link& link : links) h_.SayDone(link, key);
  ASSERT_EQ(listener_.results.size(), 1u);
  EXPECT_THAT(listener_.results[0].pictures, ElementsAre("rights"));
}

TEST_F(WorkerGroupTest, PassesOnTheStagesThatRankZeroBegins) {
  const auto links = MakeReady();
  const auto key = Run();
  h_.SayStage(links[0], key, internal::v1::JOB_STAGE_TEXT_ENCODE);
  h_.SayStage(links[1], key, internal::v1::JOB_STAGE_DENOISE);      // not rank 0
  h_.SayStage(links[0], key, internal::v1::JOB_STAGE_UNSPECIFIED);  // no stage
  h_.SayStage(links[0], key, internal::v1::JOB_STAGE_VAE_DECODE);
  EXPECT_THAT(listener_.stages, ElementsAre(JobStage::kTextEncode, JobStage::kVaeDecode));
}

TEST_F(WorkerGroupTest, AStepNumberFromAWorkerIsKeptInRange) {
  const auto links = MakeReady();
  const auto key = Run();
  h_.SayStep(links[0], key, 2147483647);
  h_.SayStep(links[0], key, -2147483647);
  EXPECT_THAT(listener_.steps, ElementsAre(4, 1));
}

TEST_F(WorkerGroupTest, StopsByTellingEveryRank) {
  const auto links = MakeReady();
  const auto key = Run();
  group_.Stop(internal::v1::STOP_REASON_CANCELLED);
  for (const Link& link : links) {
    EXPECT_EQ(link->Last(ConnectResponse::kCancelJob).cancel_job().key().job_id(), "job");
    h_.SayDone(link, key, absl::CancelledError("voted"));
  }
  ASSERT_EQ(listener_.results.size(), 1u);
  EXPECT_EQ(listener_.results[0].outcome, RunOutcome::kStopped);
  EXPECT_TRUE(group_.ready());
}

TEST_F(WorkerGroupTest, ARanksOwnErrorOutranksPeerLost) {
  const auto links = MakeReady();
  const auto key = Run();
  h_.SayDone(links[0], key, absl::UnavailableError("rank 2 was lost"), false);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_ENDING);
  h_.SayDone(links[1], key, absl::UnavailableError("rank 2 was lost"), false);
  EXPECT_THAT(listener_.results, IsEmpty());
  h_.SayDone(links[2], key, absl::InternalError("NaN in step 3"), false);
  ASSERT_EQ(listener_.results.size(), 1u);
  EXPECT_EQ(listener_.results[0].outcome, RunOutcome::kFailed);
  EXPECT_EQ(listener_.results[0].rank, 2);
  for (const Link& link : links) h_.SayEnded(link, 1);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_FORMING);  // the next epoch, with the same workers
}

TEST_F(WorkerGroupTest, EndsTheEpochWhenARankIsLostAndFormsAgainWithItsSuccessor) {
  auto links = MakeReady();
  const auto key = Run();
  h_.pool.OnClosed(*links[1]);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_ENDING);
  for (int survivor : {0, 2}) {
    EXPECT_EQ(links[survivor]->Count(ConnectResponse::kEndEpoch), 1);
    h_.SayDone(links[survivor], key, absl::UnavailableError("peer lost"), false);
    h_.SayEnded(links[survivor], 1);
  }
  ASSERT_EQ(listener_.results.size(), 1u);
  EXPECT_EQ(listener_.results[0].outcome, RunOutcome::kBroken);
  EXPECT_EQ(listener_.results[0].rank, 1);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_WAITING);
  links[1] = h_.Arrive(1);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_FORMING);
  h_.Join(links);
  EXPECT_TRUE(group_.ready());
  EXPECT_EQ(group_.Describe().epoch(), 2);
}

TEST_F(WorkerGroupTest, ARankThatIsLostWhileIdleEndsTheEpoch) {
  const auto links = MakeReady();
  h_.pool.OnClosed(*links[2]);
  h_.SayEnded(links[0], 1);
  h_.SayEnded(links[1], 1);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_WAITING);
}

TEST_F(WorkerGroupTest, ARankThatLeavesByItselfEndsTheEpoch) {
  const auto links = MakeReady();
  Run();
  h_.SayEnded(links[1], 1);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_ENDING);
  h_.SayEnded(links[0], 1);
  h_.SayEnded(links[2], 1);
  ASSERT_EQ(listener_.results.size(), 1u);
  EXPECT_EQ(listener_.results[0].outcome, RunOutcome::kInterrupted);
}

TEST_F(WorkerGroupTest, KillsTheRankThatHangsAndKeepsTheOthers) {
  const auto links = MakeReady();
  const auto key = Run(10);
  h_.SayStep(links[0], key, 0);
  h_.Pass(9.75, links);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_BUSY);
  h_.Pass(0.25, links);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_ENDING);
  for (int survivor : {0, 2}) {
    h_.SayDone(links[survivor], key, absl::UnavailableError("aborted"), false);
    h_.SayEnded(links[survivor], 1);
  }
  EXPECT_THAT(listener_.results, IsEmpty());
  h_.Pass(6, links);
  EXPECT_THAT(h_.launcher.killed, ElementsAre(1));
  ASSERT_EQ(listener_.results.size(), 1u);
  EXPECT_EQ(listener_.results[0].outcome, RunOutcome::kBroken);
  EXPECT_EQ(listener_.results[0].rank, 1);
  EXPECT_EQ(h_.pool.workers().size(), 2u);
}

TEST_F(WorkerGroupTest, AJobThatEndsWellWhileItsEpochIsBeingEndedSucceeds) {
  const auto links = MakeReady();
  const auto key = Run(10);
  h_.SayStep(links[0], key, 0);
  h_.Pass(10, links);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_ENDING);
  h_.SayPixels(links[0], key, "pixels");
  for (const Link& link : links) h_.SayDone(link, key);
  ASSERT_EQ(listener_.results.size(), 1u);
  EXPECT_EQ(listener_.results[0].outcome, RunOutcome::kSucceeded);
}

TEST_F(WorkerGroupTest, AWorkerThatBreaksTheProtocolFailsTheJob) {
  const auto links = MakeReady();
  const auto key = Run();
  h_.SayPixels(links[0], key, "7 bytes");
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_ENDING);
  for (const Link& link : links) h_.SayEnded(link, 1);
  ASSERT_EQ(listener_.results.size(), 1u);
  EXPECT_EQ(listener_.results[0].outcome, RunOutcome::kFailed);
}

TEST_F(WorkerGroupTest, UnequalWorkersNeverShareAGroup) {
  h_.Arrive(0);
  h_.Arrive(1, "bfloat16");
  h_.Arrive(2);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_WAITING);
  h_.Arrive(3);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_FORMING);
  std::vector<int> ranks;
  const v1::GroupDescription description = group_.Describe();
  for (const auto& worker : description.workers()) ranks.push_back(worker.rank());
  EXPECT_THAT(ranks, ElementsAre(0, -1, 1, 2));
}

TEST_F(WorkerGroupTest, GivesUpWhenWorkersNeverStart) {
  for (int i = 1; i <= 6; ++i) {
    EXPECT_FALSE(group_.gave_up());
    h_.pool.OnChildEnded(0, "exit code 1");
  }
  EXPECT_TRUE(group_.gave_up());
  EXPECT_THAT(group_.reason(), HasSubstr("exit code 1"));
  EXPECT_EQ(listener_.changed, 1);
}

TEST_F(WorkerGroupTest, ASilentRankInterruptsTheJobButDidNotBreakOnIt) {
  const auto links = MakeReady();
  const auto key = Run();
  h_.Pass(2.5, {links[0], links[2]});
  EXPECT_THAT(h_.launcher.killed, ElementsAre(1));
  for (int survivor : {0, 2}) {
    h_.SayDone(links[survivor], key, absl::UnavailableError("aborted"), false);
    h_.SayEnded(links[survivor], 1);
  }
  ASSERT_EQ(listener_.results.size(), 1u);
  EXPECT_EQ(listener_.results[0].outcome, RunOutcome::kInterrupted);
  EXPECT_EQ(listener_.results[0].rank, 1);
}

TEST_F(WorkerGroupTest, WaitsForeverWhenNoRankMayBeMissing) {
  const auto links = std::vector<Link>{h_.Arrive(0), h_.Arrive(1)};
  h_.Pass(1000, links);
  EXPECT_EQ(group_.state(), v1::GROUP_STATE_WAITING);
  EXPECT_EQ(group_.reason(), "2 of 3 workers");
}

}  // namespace
}  // namespace tessera
