#include "worker/link/device_thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/unit/worker/link/commands.h"
#include "tests/unit/worker/link/fake_engine.h"
#include "worker/base/status_exception.h"

namespace tessera {
namespace {

using internal::v1::ConnectRequest;
using ::testing::HasSubstr;

int Code(absl::StatusCode code) { return static_cast<int>(code); }

class DeviceThreadTest : public testing::Test {
 protected:
  void SetUp() override {
    device_ = std::make_unique<DeviceThread>(std::make_unique<FakeEngine>(script_),
                                             [this] { return now_ns_.load(); });
    Begin();
  }

  void Begin() {
    device_->BeginSession("10.0.0.9",
                          [this](ConnectRequest message) { answers_.Add(std::move(message)); });
  }

  void Join(int64_t epoch, int rank = 0) {
    device_->Handle(JoinGroup(epoch, rank));
    ASSERT_EQ(answers_.Next().group_joined().epoch(), epoch);
  }

  // The job's JobDone; whatever comes before it is left out.
  internal::v1::JobDone Run(const internal::v1::JobKey& key) {
    device_->Handle(RunJob(key));
    for (;;) {
      const ConnectRequest answer = answers_.Next();
      if (answer.has_job_done()) return answer.job_done();
    }
  }

  // As an engine whose collective hangs: returns with the reason of Abort.
  absl::Status HangUntilAbort() {
    hanging_.Add(true);
    return script_.aborts.Next();
  }

  std::vector<std::string> Calls() {
    std::vector<std::string> calls;
    while (!script_.calls.empty()) calls.push_back(script_.calls.Next());
    return calls;
  }

  std::atomic<int64_t> now_ns_ = 1;
  EngineScript script_;
  BlockingQueue<ConnectRequest> answers_;
  BlockingQueue<bool> hanging_;
  std::unique_ptr<DeviceThread> device_;
};

TEST_F(DeviceThreadTest, HostsTheStoreAtItsOwnAddress) {
  device_->Handle(HostStore(5));
  const internal::v1::StoreReady ready = answers_.Next().store_ready();
  EXPECT_EQ(ready.epoch(), 5);
  EXPECT_EQ(ready.outcome().code(), 0);
  EXPECT_EQ(ready.port(), 4711);
  EXPECT_EQ(script_.calls.Next(), "HostStore 5 10.0.0.9");
}

TEST_F(DeviceThreadTest, TellsWhyTheStoreCouldNotBeHosted) {
  script_.host_store = [] { return absl::UnavailableError("no port is left"); };
  device_->Handle(HostStore(5));
  const internal::v1::StoreReady ready = answers_.Next().store_ready();
  EXPECT_EQ(ready.outcome().code(), Code(absl::StatusCode::kUnavailable));
  EXPECT_EQ(ready.outcome().message(), "no port is left");
}

TEST_F(DeviceThreadTest, JoinsAsTheServerSays) {
  GroupOptions joined;
  script_.join_group = [&](const GroupOptions& options) {
    joined = options;
    return absl::OkStatus();
  };
  Join(7, /*rank=*/2);
  EXPECT_EQ(joined.epoch, 7);
  EXPECT_EQ(joined.rank, 2);
  EXPECT_EQ(joined.size, 3);
  EXPECT_EQ(joined.store_host, "10.0.0.7");
  EXPECT_EQ(joined.store_port, 4711);
  EXPECT_EQ(joined.interface_address, "10.0.0.9");
  EXPECT_EQ(joined.join_timeout_s, 2.5);
}

TEST_F(DeviceThreadTest, RankZeroReportsStepsThenPicturesThenDone) {
  script_.generate = [](const ImageRequest&, const JobHooks& hooks) {
    EXPECT_TRUE(hooks.on_step(0, 2).ok());
    EXPECT_TRUE(hooks.on_step(1, 2).ok());
    ImageResult result;
    result.pictures = {"first", "second"};
    result.clip_tokens = 9;
    return result;
  };
  Join(1);
  device_->Handle(RunJob(Key("j", 1, 1)));
  for (int step : {0, 1}) {
    const internal::v1::StepDone done = answers_.Next().step_done();
    EXPECT_EQ(done.key().job_id(), "j");
    EXPECT_EQ(done.step(), step);
    EXPECT_EQ(done.steps(), 2);
  }
  EXPECT_EQ(answers_.Next().pixel_chunk().data(), "first");
  EXPECT_EQ(answers_.Next().pixel_chunk().data(), "second");
  const internal::v1::JobDone done = answers_.Next().job_done();
  EXPECT_EQ(done.key().attempt(), 1);
  EXPECT_EQ(done.outcome().code(), 0);
  EXPECT_TRUE(done.group_whole());
  EXPECT_EQ(done.report().clip_tokens(), 9);
  EXPECT_THAT(Calls(), testing::ElementsAre("JoinGroup 1", "Generate j 1.5"));
}

TEST_F(DeviceThreadTest, RankZeroReportsWhichStageBegins) {
  script_.generate = [](const ImageRequest&, const JobHooks& hooks) {
    hooks.on_stage(JobStage::kTextEncode);
    hooks.on_stage(JobStage::kVaeDecode);
    return ImageResult();
  };
  Join(1);
  device_->Handle(RunJob(Key("j", 1, 1)));
  const internal::v1::StageBegun begun = answers_.Next().stage_begun();
  EXPECT_EQ(begun.key().job_id(), "j");
  EXPECT_EQ(begun.stage(), internal::v1::JOB_STAGE_TEXT_ENCODE);
  EXPECT_EQ(answers_.Next().stage_begun().stage(), internal::v1::JOB_STAGE_VAE_DECODE);
  EXPECT_TRUE(answers_.Next().has_job_done());
}

TEST_F(DeviceThreadTest, OtherRanksReportDoneOnly) {
  script_.generate = [](const ImageRequest&, const JobHooks& hooks) {
    hooks.on_stage(JobStage::kDenoise);
    EXPECT_TRUE(hooks.on_step(0, 1).ok());
    return ImageResult();
  };
  Join(1, /*rank=*/1);
  device_->Handle(RunJob(Key("j", 1, 1)));
  EXPECT_TRUE(answers_.Next().has_job_done());
}

TEST_F(DeviceThreadTest, WhatTheEngineThrowsIsInternalAndBreaksTheGroup) {
  script_.generate = [](const ImageRequest&, const JobHooks&) -> absl::StatusOr<ImageResult> {
    throw std::runtime_error("shapes differ\nframe #0: somewhere");
  };
  Join(1);
  const internal::v1::JobDone done = Run(Key("j", 1, 1));
  EXPECT_EQ(done.outcome().code(), Code(absl::StatusCode::kInternal));
  EXPECT_EQ(done.outcome().message(), "shapes differ");
  EXPECT_FALSE(done.group_whole());
  EXPECT_THAT(Calls(), testing::ElementsAre("JoinGroup 1", "Generate j 1.5", "LeaveGroup"));
}

TEST_F(DeviceThreadTest, AThrownStatusKeepsItsCode) {
  script_.join_group = [](const GroupOptions&) -> absl::Status {
    throw StatusException(absl::UnavailableError("rank 2 is gone"));
  };
  device_->Handle(JoinGroup(1));
  const internal::v1::Outcome outcome = answers_.Next().group_joined().outcome();
  EXPECT_EQ(outcome.code(), Code(absl::StatusCode::kUnavailable));
  EXPECT_EQ(outcome.message(), "rank 2 is gone");
}

TEST_F(DeviceThreadTest, AnEngineThatThrowsAnythingElseIsSurvived) {
  script_.host_store = []() -> absl::StatusOr<int> { throw 42; };
  device_->Handle(HostStore(1));
  EXPECT_EQ(answers_.Next().store_ready().outcome().code(), Code(absl::StatusCode::kInternal));
}

TEST_F(DeviceThreadTest, AVotedStopAndABadRequestLeaveTheGroupWhole) {
  Join(1);
  for (const absl::Status& status :
       {absl::CancelledError("step 3"), absl::DeadlineExceededError("step 3"),
        absl::InvalidArgumentError("width")}) {
    script_.generate = [&](const ImageRequest&, const JobHooks&) { return status; };
    const internal::v1::JobDone done = Run(Key("j", 1, 1));
    EXPECT_EQ(done.outcome().code(), Code(status.code()));
    EXPECT_TRUE(done.group_whole()) << status;
  }
}

TEST_F(DeviceThreadTest, AnyOtherErrorBreaksTheGroup) {
  Join(1);
  for (const absl::Status& status :
       {absl::UnavailableError("rank 2 is gone"), absl::AbortedError("rank 1 failed"),
        absl::InternalError("not a number"), absl::ResourceExhaustedError("memory")}) {
    script_.generate = [&](const ImageRequest&, const JobHooks&) { return status; };
    EXPECT_FALSE(Run(Key("j", 1, 1)).group_whole()) << status;
  }
}

TEST_F(DeviceThreadTest, CancelReachesTheRunningJob) {
  BlockingQueue<const std::atomic<StopReason>*> running;
  BlockingQueue<bool> go_on;
  script_.generate = [&](const ImageRequest&,
                         const JobHooks& hooks) -> absl::StatusOr<ImageResult> {
    running.Add(hooks.stop);
    go_on.Next();
    return absl::CancelledError("voted");
  };
  Join(4);
  device_->Handle(RunJob(Key("j", 2, 4)));
  const std::atomic<StopReason>* const stop = running.Next();
  EXPECT_EQ(stop->load(), StopReason::kNone);
  for (const auto& other : {Key("other", 2, 4), Key("j", 1, 4), Key("j", 2, 3)}) {
    device_->Handle(CancelJob(other, internal::v1::STOP_REASON_CANCELLED));
    EXPECT_EQ(stop->load(), StopReason::kNone);
  }
  device_->Handle(CancelJob(Key("j", 2, 4), internal::v1::STOP_REASON_DEADLINE));
  EXPECT_EQ(stop->load(), StopReason::kDeadline);
  device_->Handle(CancelJob(Key("j", 2, 4), internal::v1::STOP_REASON_CANCELLED));
  EXPECT_EQ(stop->load(), StopReason::kDeadline);
  go_on.Add(true);
  EXPECT_EQ(answers_.Next().job_done().outcome().code(), Code(absl::StatusCode::kCancelled));
}

TEST_F(DeviceThreadTest, CancelReachesAJobThatHasNotBegun) {
  BlockingQueue<bool> go_on;
  std::vector<StopReason> stops;
  script_.generate = [&](const ImageRequest&, const JobHooks& hooks) {
    if (stops.empty()) go_on.Next();
    stops.push_back(hooks.stop->load());
    return ImageResult();
  };
  Join(1);
  device_->Handle(RunJob(Key("first", 1, 1)));
  device_->Handle(RunJob(Key("second", 1, 1)));
  device_->Handle(CancelJob(Key("second", 1, 1), internal::v1::STOP_REASON_CANCELLED));
  go_on.Add(true);
  answers_.Next();
  answers_.Next();
  EXPECT_THAT(stops, testing::ElementsAre(StopReason::kNone, StopReason::kCancelled));
}

TEST_F(DeviceThreadTest, EndEpochAbortsTheRunningJobAndDropsWaitingOnes) {
  script_.generate = [&](const ImageRequest&, const JobHooks&) { return HangUntilAbort(); };
  Join(1);
  device_->Handle(RunJob(Key("first", 1, 1)));
  device_->Handle(RunJob(Key("second", 1, 1)));
  hanging_.Next();
  device_->Handle(EndEpoch(1));
  const internal::v1::JobDone done = answers_.Next().job_done();
  EXPECT_EQ(done.key().job_id(), "first");
  EXPECT_THAT(done.outcome().message(), HasSubstr("epoch 1 ended: a rank was lost"));
  EXPECT_EQ(answers_.Next().epoch_ended().epoch(), 1);
  EXPECT_THAT(Calls(), testing::ElementsAre("JoinGroup 1", "Generate first 1.5", "LeaveGroup",
                                            "LeaveGroup"));
}

TEST_F(DeviceThreadTest, ANewerEpochAbortsAJoinInFlight) {
  script_.join_group = [&](const GroupOptions& options) {
    return options.epoch == 1 ? HangUntilAbort() : absl::OkStatus();
  };
  device_->Handle(JoinGroup(1));
  hanging_.Next();
  device_->Handle(JoinGroup(2));
  const internal::v1::GroupJoined first = answers_.Next().group_joined();
  EXPECT_EQ(first.epoch(), 1);
  EXPECT_EQ(first.outcome().code(), Code(absl::StatusCode::kUnavailable));
  const internal::v1::GroupJoined second = answers_.Next().group_joined();
  EXPECT_EQ(second.epoch(), 2);
  EXPECT_EQ(second.outcome().code(), 0);
}

TEST_F(DeviceThreadTest, DropsWhatBelongsToAnEarlierEpoch) {
  Join(3);
  device_->Handle(HostStore(2));
  device_->Handle(JoinGroup(2));
  device_->Handle(RunJob(Key("stale", 1, 2)));
  device_->Handle(EndEpoch(2));
  device_->Handle(EndEpoch(3));
  EXPECT_EQ(answers_.Next().epoch_ended().epoch(), 3);
  device_->Handle(RunJob(Key("late", 1, 3)));
  Join(4);
  EXPECT_THAT(Calls(), testing::ElementsAre("JoinGroup 3", "LeaveGroup", "JoinGroup 4"));
}

TEST_F(DeviceThreadTest, DropsAJobOfAnEpochThatWasNeverJoined) {
  Join(3);
  device_->Handle(RunJob(Key("early", 1, 4)));
  Run(Key("j", 1, 3));
  EXPECT_THAT(Calls(), testing::ElementsAre("JoinGroup 3", "Generate j 1.5"));
}

TEST_F(DeviceThreadTest, ALostServerAbortsTheJobAndLeavesTheGroup) {
  script_.generate = [&](const ImageRequest&, const JobHooks&) { return HangUntilAbort(); };
  Join(9);
  device_->Handle(RunJob(Key("j", 1, 9)));
  hanging_.Next();
  device_->EndSession("the server is gone");
  Begin();
  script_.generate = [](const ImageRequest&, const JobHooks&) { return ImageResult(); };
  Join(
      1);  // another server counts anew; and nothing of the earlier session came before this answer
  EXPECT_THAT(Calls(), testing::ElementsAre("JoinGroup 9", "Generate j 1.5", "LeaveGroup",
                                            "LeaveGroup", "JoinGroup 1"));
}

TEST_F(DeviceThreadTest, AnIdleEngineIsNotAborted) {
  Join(1);
  Run(Key("j", 1, 1));
  device_->Handle(EndEpoch(1));
  answers_.Next();
  device_->EndSession("the server is gone");
  device_.reset();
  EXPECT_TRUE(script_.aborts.empty());
}

TEST_F(DeviceThreadTest, EndsEvenWhileTheEngineHangs) {
  script_.generate = [&](const ImageRequest&, const JobHooks&) { return HangUntilAbort(); };
  Join(1);
  device_->Handle(RunJob(Key("j", 1, 1)));
  hanging_.Next();
  device_.reset();
  EXPECT_TRUE(script_.aborts.empty());  // taken by the engine
}

TEST_F(DeviceThreadTest, CountsHowItsJobsEnded) {
  Join(1);
  for (const absl::Status& status :
       {absl::OkStatus(), absl::CancelledError(""), absl::OkStatus(), absl::InternalError("")}) {
    script_.generate = [&](const ImageRequest&, const JobHooks&) -> absl::StatusOr<ImageResult> {
      if (!status.ok()) return status;
      return ImageResult();
    };
    Run(Key("j", 1, 1));
  }
  const DeviceThread::Attempts attempts = device_->attempts();
  EXPECT_EQ(attempts.succeeded, 2);
  EXPECT_EQ(attempts.stopped, 1);
  EXPECT_EQ(attempts.failed, 1);
}

TEST_F(DeviceThreadTest, IsSilentFromTheLastStepUntilTheJobIsDone) {
  script_.generate = [&](const ImageRequest&,
                         const JobHooks& hooks) -> absl::StatusOr<ImageResult> {
    now_ns_ += 2'500'000'000;
    EXPECT_EQ(device_->SilentMs(), 2500);
    EXPECT_TRUE(hooks.on_step(0, 1).ok());
    EXPECT_EQ(device_->SilentMs(), 0);
    now_ns_ += 1'000'000;
    EXPECT_EQ(device_->SilentMs(), 1);
    return ImageResult();
  };
  Join(1);
  Run(Key("j", 1, 1));
  EXPECT_EQ(device_->SilentMs(), 0);
}

}  // namespace
}  // namespace tessera
