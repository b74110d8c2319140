#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/jobs/job_errors.h"
#include "tests/unit/server/jobs/scheduler_fixture.h"

namespace tessera {
namespace {

using internal::v1::ConnectResponse;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kRunSeconds;
using testing::SchedulerTest;
using testing::Submitted;

TEST_F(SchedulerTest, RunsAJobAndAnswersWithPictureAndMetadata) {
  StartReady();
  v1::GenerateImageRequest request;
  request.set_prompt("a cat");
  const Submitted job = Submit(request);
  EXPECT_THAT(job.listener->positions, ElementsAre(0));
  EXPECT_THAT(job.listener->attempts, ElementsAre(1));
  h_.SayStep(links_[0], h_.RunningKey(links_[0]), 0);
  EXPECT_THAT(job.listener->steps, ElementsAre(1));
  FinishRun();
  ASSERT_NE(job.listener->success(), nullptr);
  EXPECT_THAT(job.listener->success()->pngs, ElementsAre("png"));
  const v1::GenerationMetadata& metadata = job.listener->success()->metadata;
  EXPECT_EQ(metadata.job_id(), job.id);
  EXPECT_EQ(metadata.effective_request().prompt(), "a cat");
  EXPECT_EQ(metadata.effective_request().seed(), 42u);
  EXPECT_EQ(metadata.effective_request().num_inference_steps(), 4);
  EXPECT_EQ(metadata.ranks(), 3);
  EXPECT_EQ(metadata.attempts(), 1);
  EXPECT_EQ(metadata.model_fingerprint(), "0123456789abcdef");
  EXPECT_EQ(metadata.dtype(), "float32");
  EXPECT_EQ(metadata.stage_seconds().denoise(), 8);
}

TEST_F(SchedulerTest, HandsTheGroupOneJobAtATimeInOrder) {
  StartReady();
  const Submitted first = Submit();
  const Submitted second = Submit();
  const Submitted third = Submit();
  EXPECT_THAT(second.listener->positions, ElementsAre(1));
  EXPECT_THAT(third.listener->positions, ElementsAre(2));
  EXPECT_EQ(Runs(), 1);
  FinishRun();
  EXPECT_EQ(first.listener->finished, 1);
  EXPECT_EQ(RunningJob(), second.id);
  EXPECT_THAT(third.listener->positions, ElementsAre(2, 1));
  FinishRun();
  EXPECT_EQ(RunningJob(), third.id);
}

TEST_F(SchedulerTest, JobsWaitForTheGroup) {
  Start();
  const Submitted job = Submit();
  EXPECT_THAT(job.listener->positions, ElementsAre(0));
  EXPECT_FALSE(job.listener->last_wait_s.has_value());
  MakeReady();
  EXPECT_EQ(RunningJob(), job.id);
}

TEST_F(SchedulerTest, JudgesWaitingRequestsOnceTheModelIsKnown) {
  Start();
  v1::GenerateImageRequest too_many_images;
  too_many_images.set_num_images(5);
  const Submitted bad = Submit(too_many_images);
  const Submitted good = Submit();
  EXPECT_EQ(bad.listener->finished, 0);
  MakeReady();
  EXPECT_EQ(bad.listener->code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RunningJob(), good.id);
}

TEST_F(SchedulerTest, RefusesAtOnceWhatNoModelCouldServe) {
  Start();
  v1::GenerateImageRequest request;
  request.set_sync_steps(0);
  EXPECT_EQ(Submit(request).listener->code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SchedulerTest, RefusesAPictureWithFewerTokensThanRanks) {
  StartReady();
  v1::GenerateImageRequest request;
  request.set_width(16);
  request.set_height(32);
  const Submitted small = Submit(request);
  ASSERT_EQ(small.listener->code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(small.listener->error()->violations.at(0).field, "width");
  request.set_height(48);
  EXPECT_EQ(Submit(request).listener->finished, 0);
}

TEST_F(SchedulerTest, ListsEveryViolation) {
  StartReady();
  v1::GenerateImageRequest request;
  request.set_width(17);
  request.set_num_images(0);
  const Submitted job = Submit(request);
  ASSERT_EQ(job.listener->code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(job.listener->error()->violations.size(), 2u);
  EXPECT_EQ(Runs(), 0);
}

TEST_F(SchedulerTest, RefusesWhenTheQueueIsFullAndSaysWhenToRetry) {
  StartReady();
  Measure();
  Submit();
  Submit();
  Submit();
  const Submitted refused = Submit();
  ASSERT_EQ(refused.listener->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(refused.listener->error()->reason, reason::kQueueFull);
  EXPECT_NEAR(*refused.listener->error()->retry_after_s, kRunSeconds, 1e-6);
  EXPECT_THAT(refused.listener->positions, IsEmpty());
}

TEST_F(SchedulerTest, PredictsWaitAndRemainingTimeOnceMeasured) {
  StartReady();
  Measure();
  const Submitted first = Submit();
  EXPECT_DOUBLE_EQ(*first.listener->last_wait_s, 0);
  const Submitted second = Submit();
  EXPECT_NEAR(*second.listener->last_wait_s, kRunSeconds, 1e-6);
  h_.SayStep(links_[0], h_.RunningKey(links_[0]), 1);
  EXPECT_NEAR(*first.listener->last_remaining_s, kRunSeconds - 4, 1e-6);  // two of four steps
  EXPECT_EQ(scheduler_->DescribeQueue().predicted_wait().seconds(), 14);
}

TEST_F(SchedulerTest, ACancelledJobLeavesTheQueueAtOnce) {
  StartReady();
  Submit();
  const Submitted waiting = Submit();
  const Submitted behind = Submit();
  scheduler_->Abandon(waiting.id);
  EXPECT_EQ(waiting.listener->code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(waiting.listener->error()->metadata.at("stage"), "queue");
  EXPECT_THAT(behind.listener->positions, ElementsAre(2, 1));
}

TEST_F(SchedulerTest, ACancelledRunningJobIsAnsweredWhenTheGroupReports) {
  StartReady();
  const Submitted job = Submit();
  h_.SayStep(links_[0], h_.RunningKey(links_[0]), 1);
  scheduler_->Abandon(job.id);
  EXPECT_EQ(job.listener->finished, 0);
  for (const Link& link : links_) {
    EXPECT_EQ(link->Last(ConnectResponse::kCancelJob).cancel_job().reason(),
              internal::v1::STOP_REASON_CANCELLED);
  }
  FinishRun(absl::CancelledError("voted"));
  EXPECT_EQ(job.listener->code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(job.listener->error()->metadata.at("steps_done"), "2");
  EXPECT_TRUE(h_.group.ready());
}

TEST_F(SchedulerTest, AbandoningAJobTwiceOrAfterItsEndDoesNothing) {
  StartReady();
  const Submitted job = Submit();
  scheduler_->Abandon(job.id);
  scheduler_->Abandon(job.id);
  EXPECT_EQ(links_[0]->Count(ConnectResponse::kCancelJob), 1);
  FinishRun(absl::CancelledError("voted"));
  scheduler_->Abandon(job.id);
  EXPECT_EQ(job.listener->finished, 1);
}

TEST_F(SchedulerTest, ADeadlinePassesInTheQueue) {
  StartReady();
  Submit();
  const Submitted waiting = Submit({}, 5);
  EXPECT_EQ(SecondsBetween(h_.clock.Now(), scheduler_->NextDue()), 5);
  h_.clock.Advance(5);
  scheduler_->OnTime(h_.clock.Now());
  EXPECT_EQ(waiting.listener->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(waiting.listener->error()->reason, reason::kDeadlinePassed);
  EXPECT_EQ(waiting.listener->error()->metadata.at("stage"), "queue");
}

TEST_F(SchedulerTest, ADeadlineStopsARunningJob) {
  StartReady();
  const Submitted job = Submit({}, 5);
  h_.SayStep(links_[0], h_.RunningKey(links_[0]), 0);
  h_.clock.Advance(5);
  scheduler_->OnTime(h_.clock.Now());
  scheduler_->OnTime(h_.clock.Now());
  EXPECT_EQ(links_[0]->Count(ConnectResponse::kCancelJob), 1);
  EXPECT_EQ(links_[0]->Last(ConnectResponse::kCancelJob).cancel_job().reason(),
            internal::v1::STOP_REASON_DEADLINE);
  FinishRun(absl::DeadlineExceededError("voted"));
  EXPECT_EQ(job.listener->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(job.listener->error()->metadata.at("steps_done"), "1");
}

TEST_F(SchedulerTest, AClientThatLeavesAtItsDeadlineCountsAsExpired) {
  StartReady();
  Submit();
  const Submitted waiting = Submit({}, 5);
  h_.clock.Advance(4.95);
  scheduler_->Abandon(waiting.id);
  EXPECT_EQ(waiting.listener->code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(SchedulerTest, RefusesADeadlineThatCertainlyCannotBeMet) {
  StartReady();
  Measure();
  EXPECT_EQ(Submit({}, 1).listener->finished, 0);  // one run may have had to warm up
  h_.Pass(kRunSeconds, links_);
  FinishRun();
  const Submitted hopeless = Submit({}, 1);
  ASSERT_EQ(hopeless.listener->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(hopeless.listener->error()->reason, reason::kDeadlineCannotBeMet);
  EXPECT_EQ(hopeless.listener->error()->metadata.at("allowed_s"), "1.000");
  v1::GenerateImageRequest other_shape;
  other_shape.set_width(1024);
  EXPECT_EQ(Submit(other_shape, 1).listener->finished, 0);  // only scaled, so not certain
}

TEST_F(SchedulerTest, CountsTheWaitWhenItRefusesADeadline) {
  StartReady();
  Measure();
  Measure();
  Submit();
  EXPECT_EQ(Submit({}, 15).listener->finished, 0);  // in front: a job that may end at any time
  EXPECT_EQ(Submit({}, 15).listener->code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(SchedulerTest, RefusesAUnaryReplyThatMayNotFit) {
  StartReady({.max_unary_reply_bytes = 4 << 20});
  v1::GenerateImageRequest request;
  request.set_width(2048);
  request.set_height(2048);
  const Submitted unary = Submit(request, 0, ReplyKind::kUnary);
  ASSERT_EQ(unary.listener->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(unary.listener->error()->reason, reason::kReplyTooLarge);
  EXPECT_THAT(unary.listener->error()->message, HasSubstr("StreamGenerateImage"));
  EXPECT_FALSE(unary.listener->error()->retry_after_s.has_value());
  EXPECT_EQ(Submit(request).listener->finished, 0);
}

TEST_F(SchedulerTest, ARanksOwnErrorIsInternalWithTheJobsId) {
  StartReady();
  const Submitted job = Submit();
  FinishRun(absl::InternalError("denoise, step 3: NaN"), false);
  ASSERT_EQ(job.listener->code(), absl::StatusCode::kInternal);
  EXPECT_THAT(job.listener->error()->message, HasSubstr(job.id));
  EXPECT_THAT(job.listener->error()->message, HasSubstr("NaN"));
  EXPECT_EQ(h_.group.state(), v1::GROUP_STATE_ENDING);
}

TEST_F(SchedulerTest, OutOfDeviceMemoryIsNotToBeRetried) {
  StartReady();
  const Submitted job = Submit();
  FinishRun(absl::ResourceExhaustedError("out of memory"));
  ASSERT_EQ(job.listener->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(job.listener->error()->reason, reason::kOutOfDeviceMemory);
  EXPECT_FALSE(job.listener->error()->retry_after_s.has_value());
  EXPECT_TRUE(h_.group.ready());
}

v1::GenerateImageRequest Square(int side) {
  v1::GenerateImageRequest request;
  request.set_width(side);
  request.set_height(side);
  return request;
}

TEST_F(SchedulerTest, RefusesWhatTheMemoryOfItsPoorestRankCannotHold) {
  Start();
  h_.job_memory.set_decoded_pixel(100);
  h_.job_memory.set_available(1 << 30);
  links_ = {h_.Arrive(0)};
  h_.job_memory.set_available(100 * 512 * 512);
  links_.push_back(h_.Arrive(1));
  h_.job_memory.set_available(1 << 30);
  links_.push_back(h_.Arrive(2));
  h_.Join(links_);
  EXPECT_EQ(Submit(Square(512)).listener->finished, 0);
  const Submitted large = Submit(Square(528));
  ASSERT_EQ(large.listener->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(large.listener->error()->reason, reason::kOutOfDeviceMemory);
  EXPECT_THAT(large.listener->error()->message, HasSubstr("width 528, height 528"));
  EXPECT_THAT(large.listener->error()->message, HasSubstr("on 3 ranks"));
  EXPECT_FALSE(large.listener->error()->retry_after_s.has_value());
  EXPECT_EQ(Runs(), 1);
}

TEST_F(SchedulerTest, RefusesAWaitingJobOnceTheMemoryIsKnown) {
  Start();
  const Submitted large = Submit(Square(528));
  const Submitted small = Submit(Square(512));
  EXPECT_EQ(large.listener->finished, 0);
  h_.job_memory.set_decoded_pixel(100);
  h_.job_memory.set_available(100 * 512 * 512);
  MakeReady();
  EXPECT_EQ(large.listener->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(RunningJob(), small.id);
  FinishRun();
  EXPECT_NE(small.listener->success(), nullptr);
}

TEST_F(SchedulerTest, AJobThatTheRanksThemselvesFoundTooLargeLeavesTheGroupWhole) {
  StartReady();
  const Submitted job = Submit();
  FinishRun(absl::OutOfRangeError("memory_plan: width 4096"));
  ASSERT_EQ(job.listener->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(job.listener->error()->reason, reason::kOutOfDeviceMemory);
  EXPECT_TRUE(h_.group.ready());
}

TEST_F(SchedulerTest, AnErrorNamesTheStageThatRankZeroBegan) {
  StartReady();
  const Submitted job = Submit();
  h_.SayStage(links_[0], h_.RunningKey(links_[0]), internal::v1::JOB_STAGE_VAE_DECODE);
  FinishRun(absl::InternalError("vae_decode: made to fail"));
  EXPECT_EQ(job.listener->error()->metadata.at("stage"), "vae_decode");
  EXPECT_THAT(job.listener->error()->message, HasSubstr("in vae_decode after 0 of"));
}

TEST_F(SchedulerTest, DrainFinishesAdmittedJobsAndRefusesNewOnes) {
  StartReady();
  const Submitted running = Submit();
  const Submitted waiting = Submit();
  int drained = 0;
  scheduler_->Drain([&] { ++drained; });
  const Submitted late = Submit();
  EXPECT_EQ(late.listener->code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(late.listener->error()->reason, reason::kDraining);
  FinishRun();
  EXPECT_EQ(drained, 0);
  FinishRun();
  EXPECT_EQ(drained, 1);
  EXPECT_NE(running.listener->success(), nullptr);
  EXPECT_NE(waiting.listener->success(), nullptr);
}

TEST_F(SchedulerTest, DrainOfAnIdleServerIsOverAtOnce) {
  StartReady();
  int drained = 0;
  scheduler_->Drain([&] { ++drained; });
  EXPECT_EQ(drained, 1);
}

TEST_F(SchedulerTest, FailAllAnswersEveryJobOnce) {
  StartReady();
  const Submitted running = Submit();
  const Submitted waiting = Submit();
  scheduler_->Drain([] {});
  scheduler_->FailAll(ServerStopped());
  FinishRun(absl::CancelledError("voted"));  // too late to matter
  for (const Submitted& job : {running, waiting}) {
    EXPECT_EQ(job.listener->finished, 1);
    EXPECT_EQ(job.listener->code(), absl::StatusCode::kUnavailable);
  }
}

TEST_F(SchedulerTest, AGroupThatGaveUpEmptiesTheQueueAndRefusesJobs) {
  Start();
  const Submitted waiting = Submit();
  for (int i = 0; i < 6; ++i) h_.pool.OnChildEnded(0, "exit code 1");
  EXPECT_EQ(waiting.listener->code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(waiting.listener->error()->reason, reason::kNoGroup);
  EXPECT_EQ(Submit().listener->code(), absl::StatusCode::kUnavailable);
}

TEST_F(SchedulerTest, ProgressLimitsFollowThePrediction) {
  StartReady();
  Submit();
  // Nothing was measured: ten minutes, and the collectives a little longer.
  EXPECT_EQ(links_[0]->Last(ConnectResponse::kRunJob).run_job().collective_timeout_ms(), 605'000);
  h_.Pass(40, links_);
  FinishRun();
  Submit();
  // 8 s of denoising were reported, so 32 s belong to the finish; five times that.
  EXPECT_EQ(links_[0]->Last(ConnectResponse::kRunJob).run_job().collective_timeout_ms(), 165'000);
}

TEST_F(SchedulerTest, TalliesEveryRequestOnce) {
  StartReady();
  const Submitted succeeds = Submit();
  const Submitted waits = Submit();
  const Submitted expires = Submit({}, /*deadline_s=*/5);
  Submit();  // the queue is full
  scheduler_->Abandon(waits.id);
  h_.Pass(6, links_);
  scheduler_->OnTime(h_.clock.Now());
  FinishRun();
  Submit();
  FinishRun(absl::InternalError("a NaN"), /*group_whole=*/true);
  const v1::JobTallies& tallies = scheduler_->tallies();
  EXPECT_EQ(tallies.admitted(), 4);
  EXPECT_EQ(tallies.refused(), 1);
  EXPECT_EQ(tallies.succeeded(), 1);
  EXPECT_EQ(tallies.cancelled(), 1);
  EXPECT_EQ(tallies.expired(), 1);
  EXPECT_EQ(tallies.failed(), 1);
  EXPECT_EQ(tallies.attempts(), 2);
}

}  // namespace
}  // namespace tessera
