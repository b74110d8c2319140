#include "server/jobs/idempotent_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "server/jobs/job_errors.h"
#include "tests/unit/server/jobs/scheduler_fixture.h"

namespace tessera {
namespace {

using internal::v1::ConnectResponse;
using ::testing::ElementsAre;
using testing::RecordingListener;
using testing::Submitted;

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

class IdempotentCallsTest : public testing::SchedulerTest {
 protected:
  void Start(IdempotentCallsOptions options = {}) {
    StartReady();
    calls_.emplace(options, h_.clock, *scheduler_, counter_);
  }

  Submitted Call(const std::string& request_id, const std::string& prompt = "a cat",
                 int64_t max_reply_bytes = kUnlimited, double deadline_s = 0) {
    Submitted call = {.id = "call" + std::to_string(++last_call_),
                      .listener = std::make_shared<RecordingListener>()};
    v1::GenerateImageRequest request;
    request.set_request_id(request_id);
    request.set_prompt(prompt);
    calls_->Submit({.id = call.id,
                    .request = std::move(request),
                    .max_reply_bytes = max_reply_bytes,
                    .submitted_at = h_.clock.Now(),
                    .deadline = deadline_s > 0 ? h_.clock.Now() + Seconds(deadline_s) : kNever},
                   call.listener);
    return call;
  }

  std::optional<IdempotentCalls> calls_;
  int last_call_ = 0;
};

TEST_F(IdempotentCallsTest, CallsWithoutAnIdAreJobsOfTheirOwn) {
  Start();
  Call("");
  Call("");
  EXPECT_EQ(counter_.tallies().admitted(), 2);
  EXPECT_EQ(counter_.tallies().joined(), 0);
}

TEST_F(IdempotentCallsTest, ASecondCallJoinsTheRunningJobAndHearsWhereItStands) {
  Start();
  const Submitted first = Call("id");
  h_.SayStep(links_[0], h_.RunningKey(links_[0]), 0);
  const Submitted second = Call("id");
  h_.SayStep(links_[0], h_.RunningKey(links_[0]), 1);
  EXPECT_THAT(second.listener->attempts, ElementsAre(1));
  EXPECT_THAT(second.listener->steps, ElementsAre(1, 2));
  FinishRun();
  ASSERT_NE(first.listener->success(), nullptr);
  ASSERT_NE(second.listener->success(), nullptr);
  EXPECT_EQ(second.listener->success()->pngs, first.listener->success()->pngs);
  EXPECT_EQ(second.listener->success()->metadata.job_id(), first.id);
  EXPECT_EQ(first.listener->finished, 1);
  EXPECT_EQ(second.listener->finished, 1);
  EXPECT_EQ(counter_.tallies().admitted(), 1);
  EXPECT_EQ(counter_.tallies().joined(), 1);
}

TEST_F(IdempotentCallsTest, AnAnswerIsGivenAgainForAWhile) {
  Start({.keep_s = 600});
  const Submitted first = Call("id");
  FinishRun();
  h_.Pass(599, links_);
  const Submitted again = Call("id");
  ASSERT_NE(again.listener->success(), nullptr);
  EXPECT_EQ(again.listener->success()->pngs, first.listener->success()->pngs);
  EXPECT_EQ(Runs(), 1);
  h_.Pass(1, links_);
  EXPECT_EQ(Call("id").listener->finished, 0);
  EXPECT_EQ(Runs(), 2);
}

TEST_F(IdempotentCallsTest, TheSameIdWithOtherContentIsInvalid) {
  Start();
  Call("id", "a cat");
  const Submitted running = Call("id", "a dog");
  FinishRun();
  const Submitted answered = Call("id", "a dog");
  for (const Submitted& call : {running, answered}) {
    ASSERT_EQ(call.listener->code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(call.listener->error()->violations.at(0).field, "request_id");
  }
  EXPECT_EQ(counter_.tallies().refused(), 2);
}

TEST_F(IdempotentCallsTest, FailuresAreNotKept) {
  Start();
  const Submitted first = Call("id");
  FinishRun(absl::InternalError("a NaN"), true);
  EXPECT_EQ(first.listener->code(), absl::StatusCode::kInternal);
  const Submitted second = Call("id");
  FinishRun();
  EXPECT_NE(second.listener->success(), nullptr);
}

TEST_F(IdempotentCallsTest, ARefusedCallLeavesItsIdFree) {
  Start();
  scheduler_->Drain([] {});
  EXPECT_EQ(Call("id", "a cat").listener->code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Call("id", "a dog").listener->code(), absl::StatusCode::kUnavailable);
}

TEST_F(IdempotentCallsTest, TheJobIsGivenUpWithTheLastOfItsCalls) {
  Start();
  const Submitted first = Call("id");
  const Submitted second = Call("id");
  calls_->Cancel(first.id);
  EXPECT_EQ(first.listener->code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(links_[0]->Count(ConnectResponse::kCancelJob), 0);
  calls_->Cancel(second.id);
  EXPECT_EQ(links_[0]->Count(ConnectResponse::kCancelJob), 1);
  // Who comes while it is being stopped gets a job of its own.
  const Submitted third = Call("id", "something else");
  FinishRun(absl::CancelledError("voted"));
  EXPECT_EQ(second.listener->code(), absl::StatusCode::kCancelled);
  FinishRun();
  EXPECT_NE(third.listener->success(), nullptr);
}

TEST_F(IdempotentCallsTest, TheLatestDeadlineCounts) {
  Start();
  const Submitted first = Call("id", "a cat", kUnlimited, 5);
  const Submitted second = Call("id", "a cat", kUnlimited, 20);
  h_.clock.Advance(6);
  scheduler_->OnTime(h_.clock.Now());
  EXPECT_EQ(links_[0]->Count(ConnectResponse::kCancelJob), 0);
  EXPECT_EQ(SecondsBetween(h_.clock.Now(), scheduler_->NextDue()), 14);
  FinishRun();
  EXPECT_NE(second.listener->success(), nullptr);
}

TEST_F(IdempotentCallsTest, AUnaryCallLearnsThatTheAnswerIsTooLargeForIt) {
  Start();
  const Submitted stream = Call("id");
  const Submitted unary = Call("id", "a cat", /*max_reply_bytes=*/2);
  FinishRun();
  EXPECT_NE(stream.listener->success(), nullptr);
  ASSERT_EQ(unary.listener->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(unary.listener->error()->reason, reason::kReplyTooLarge);
}

TEST_F(IdempotentCallsTest, KeepsNoMoreBytesThanAllowed) {
  Start();
  Call("probe");
  FinishRun();
  int64_t bytes = 0;  // of one answer: a picture of three bytes and its metadata
  {
    const Submitted probe = Call("probe");
    bytes = 3 + static_cast<int64_t>(probe.listener->success()->metadata.ByteSizeLong());
  }
  calls_.emplace(IdempotentCallsOptions{.max_bytes = 2 * bytes + bytes / 2}, h_.clock, *scheduler_,
                 counter_);
  for (const std::string id : {"a", "b", "c"}) {
    Call(id);
    FinishRun();
  }
  EXPECT_NE(Call("b").listener->success(), nullptr);
  EXPECT_NE(Call("c").listener->success(), nullptr);
  EXPECT_EQ(Call("a").listener->finished, 0);  // runs again
}

TEST_F(IdempotentCallsTest, KeepsNothingWhenNothingIsAllowed) {
  Start({.max_bytes = 0});
  Call("id");
  FinishRun();
  EXPECT_EQ(Call("id").listener->finished, 0);
}

}  // namespace
}  // namespace tessera
