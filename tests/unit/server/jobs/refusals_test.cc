// What the scheduler refuses, at admission or when a job's turn comes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/jobs/job_errors.h"
#include "tests/unit/server/jobs/scheduler_fixture.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kRunSeconds;
using testing::SchedulerTest;
using testing::Submitted;

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
  StartReady();
  v1::GenerateImageRequest request;
  request.set_width(2048);
  request.set_height(2048);
  const Submitted unary = Submit(request, 0, /*max_reply_bytes=*/4 << 20);
  ASSERT_EQ(unary.listener->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(unary.listener->error()->reason, reason::kReplyTooLarge);
  EXPECT_THAT(unary.listener->error()->message, HasSubstr("StreamGenerateImage"));
  EXPECT_FALSE(unary.listener->error()->retry_after_s.has_value());
  EXPECT_EQ(Submit(request).listener->finished, 0);
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

}  // namespace
}  // namespace tessera
