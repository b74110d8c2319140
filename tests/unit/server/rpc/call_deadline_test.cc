#include "server/rpc/call_deadline.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

const TimePoint kNow = TimePoint() + std::chrono::hours(1);

gpr_timespec In(int64_t seconds) {
  gpr_timespec deadline = gpr_now(GPR_CLOCK_REALTIME);
  deadline.tv_sec += seconds;
  return deadline;
}

TEST(CallDeadlineTest, IsAsFarAheadOnTheServersClock) {
  EXPECT_NEAR(SecondsBetween(kNow, DeadlineOf(In(5), kNow)), 5, 1);
  EXPECT_NEAR(SecondsBetween(kNow, DeadlineOf(In(-5), kNow)), -5, 1);
}

TEST(CallDeadlineTest, ACallWithoutADeadlineHasNone) {
  EXPECT_EQ(DeadlineOf(gpr_inf_future(GPR_CLOCK_REALTIME), kNow), kNever);
}

TEST(CallDeadlineTest, ADeadlineBeyondInt64NanosecondsIsNone) {
  constexpr int64_t kLongestOnTheWireS = 99'999'999LL * 3600;  // grpc-timeout: 99999999H
  EXPECT_EQ(DeadlineOf(In(kLongestOnTheWireS), kNow), kNever);
  EXPECT_EQ(DeadlineOf(In(10'000'000'000), kNow), kNever);
}

}  // namespace
}  // namespace tessera
