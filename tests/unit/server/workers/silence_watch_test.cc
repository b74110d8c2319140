#include "server/workers/silence_watch.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

constexpr SilenceOptions kOptions = {.heartbeat_interval_s = 0.5, .silence_limit_s = 2};

TimePoint At(double seconds) { return TimePoint() + Seconds(seconds); }

TEST(SilenceWatchTest, AWorkerIsSilentOnceNothingCameForTheLimit) {
  const SilenceWatch watch(kOptions);
  EXPECT_FALSE(watch.IsSilent(At(1), At(2.9)));
  EXPECT_TRUE(watch.IsSilent(At(1), At(3)));
  EXPECT_EQ(watch.SilentAt(At(1)), At(3));
}

TEST(SilenceWatchTest, PingsBeginWithTheFirstWorkerAndEndWithTheLast) {
  SilenceWatch watch(kOptions);
  EXPECT_EQ(watch.next_ping(), kNever);
  watch.OnArrived(At(1));
  watch.OnArrived(At(1.2));
  EXPECT_FALSE(watch.TakePing(At(1.4), true));
  EXPECT_TRUE(watch.TakePing(At(1.5), true));
  EXPECT_EQ(watch.next_ping(), At(2));
  EXPECT_FALSE(watch.TakePing(At(2), false));
  EXPECT_EQ(watch.next_ping(), kNever);
}

TEST(SilenceWatchTest, ExcusesTheTimeThatThisProcessItselfWasStopped) {
  const SilenceWatch watch(kOptions);
  EXPECT_EQ(watch.Excused(At(1), At(1.4)), TimePoint::duration::zero());
  EXPECT_EQ(watch.Excused(At(1), At(9)), Seconds(8));
}

}  // namespace
}  // namespace tessera
