// Groups that may go on with fewer ranks than are wanted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/server/workers/group_harness.h"
#include "tests/unit/server/workers/recording_group_listener.h"

namespace tessera {
namespace {

using internal::v1::ConnectResponse;
using ::testing::HasSubstr;

// Three ranks are wanted, two will do after ten seconds.
class SmallerGroupTest : public ::testing::Test {
 protected:
  using Link = testing::GroupHarness::Link;

  SmallerGroupTest() { small_.group.SetListener(listener_); }

  std::vector<Link> FormWithTwo() {
    std::vector<Link> links = {small_.Arrive(0), small_.Arrive(1)};
    small_.Pass(10, links);
    small_.Join(links);
    EXPECT_TRUE(small_.group.ready());
    return links;
  }

  testing::GroupHarness small_{WorkerGroupOptions{.size = 3, .min_ranks = 2, .regroup_wait_s = 10}};
  testing::RecordingGroupListener listener_;
};

TEST_F(SmallerGroupTest, FormsAfterItsWaitAndSaysSo) {
  const std::vector<Link> links = {small_.Arrive(0), small_.Arrive(1)};
  small_.Pass(9.5, links);
  EXPECT_EQ(small_.group.state(), v1::GROUP_STATE_WAITING);
  small_.Pass(0.5, links);
  EXPECT_EQ(small_.group.state(), v1::GROUP_STATE_FORMING);
  small_.Join(links);
  EXPECT_TRUE(small_.group.ready());
  EXPECT_EQ(small_.group.reason(), "2 of 3 workers");
  EXPECT_EQ(small_.group.Describe().ranks(), 2);
  EXPECT_EQ(small_.group.Describe().min_ranks(), 2);
  EXPECT_EQ(links[1]->Last(ConnectResponse::kJoinGroup).join_group().size(), 2);
}

TEST_F(SmallerGroupTest, OneOfThreeIsTooFew) {
  const std::vector<Link> links = {small_.Arrive(0)};
  small_.Pass(100, links);
  EXPECT_EQ(small_.group.state(), v1::GROUP_STATE_WAITING);
}

TEST_F(SmallerGroupTest, TheWaitBeginsWithEachLoss) {
  std::vector<Link> links = FormWithTwo();
  small_.pool.OnClosed(*links[1]);
  small_.SayEnded(links[0], 1);
  small_.Pass(100, {links[0]});
  links[1] = small_.Arrive(1);
  EXPECT_EQ(small_.group.state(), v1::GROUP_STATE_WAITING);
  small_.Pass(10, links);
  EXPECT_EQ(small_.group.state(), v1::GROUP_STATE_FORMING);
}

TEST_F(SmallerGroupTest, GrowsAtOnceWhileItIsIdle) {
  std::vector<Link> links = FormWithTwo();
  links.push_back(small_.Arrive(2));
  EXPECT_EQ(small_.group.state(), v1::GROUP_STATE_ENDING);
  small_.SayEnded(links[0], 1);
  small_.SayEnded(links[1], 1);
  small_.Join(links);
  EXPECT_TRUE(small_.group.ready());
  EXPECT_EQ(small_.group.ranks(), 3);
  EXPECT_EQ(small_.group.reason(), "");
}

TEST_F(SmallerGroupTest, GrowsOnlyAfterTheRunningJob) {
  const std::vector<Link> links = FormWithTwo();
  RunRequest run;
  run.message.mutable_request()->set_num_images(1);
  run.message.mutable_request()->set_num_inference_steps(1);
  run.limits = {.first_step_s = 20, .step_s = 20, .finish_s = 20};
  small_.group.Run(run);
  small_.Arrive(2);
  EXPECT_EQ(small_.group.state(), v1::GROUP_STATE_BUSY);
  const internal::v1::JobKey key = small_.RunningKey(links[0]);
  small_.SayPictures(links[0], key);
  for (const Link& link : links) small_.SayDone(link, key);
  EXPECT_EQ(small_.group.state(), v1::GROUP_STATE_ENDING);
  ASSERT_EQ(listener_.results.size(), 1u);
  EXPECT_EQ(listener_.results[0].outcome, RunOutcome::kSucceeded);
}

TEST_F(SmallerGroupTest, WorkersThatNeverStartAreNoReasonToGiveUp) {
  const std::vector<Link> links = {small_.Arrive(0), small_.Arrive(1)};
  for (int i = 0; i < 10; ++i) small_.pool.OnChildEnded(2, "exit code 1");
  EXPECT_FALSE(small_.group.gave_up());
  EXPECT_THAT(small_.group.reason(), HasSubstr("exit code 1"));
}

}  // namespace
}  // namespace tessera
