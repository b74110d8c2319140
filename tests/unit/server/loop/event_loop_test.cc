#include "server/loop/event_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/unit/server/loop/fake_clock.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;

TEST(EventLoopTest, RunsTasksInOrderAndThoseTheyPost) {
  testing::FakeClock clock;
  EventLoop loop(clock);
  std::vector<int> ran;
  loop.Post([&] {
    ran.push_back(1);
    loop.Post([&] { ran.push_back(3); });
  });
  loop.Post([&] { ran.push_back(2); });
  loop.RunDue();
  EXPECT_THAT(ran, ElementsAre(1, 2, 3));
}

TEST(EventLoopTest, CallsTheTimerAfterEachBatch) {
  testing::FakeClock clock;
  EventLoop loop(clock);
  std::vector<TimePoint> calls;
  loop.SetTimer([&](TimePoint now) {
    calls.push_back(now);
    return kNever;
  });
  loop.RunDue();
  clock.Advance(1);
  loop.RunDue();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(SecondsBetween(calls[0], calls[1]), 1);
}

TEST(EventLoopTest, RunCallsTheTimerWhenItAskedForItAndEndsWithStop) {
  const SteadyClock clock;
  EventLoop loop(clock);
  int calls = 0;
  loop.SetTimer([&](TimePoint now) {
    if (++calls == 3) loop.Stop();
    return now + Seconds(0.001);
  });
  loop.Run();
  EXPECT_EQ(calls, 3);
}

TEST(EventLoopTest, TakesTasksFromOtherThreads) {
  const SteadyClock clock;
  EventLoop loop(clock);
  int sum = 0;
  {
    std::vector<std::jthread> posters;
    for (int thread = 0; thread < 3; ++thread) {
      posters.emplace_back([&] {
        for (int i = 0; i < 100; ++i) loop.Post([&] { ++sum; });
      });
    }
    std::jthread runner([&] { loop.Run(); });
    posters.clear();
    loop.Post([&] { loop.Stop(); });
  }
  EXPECT_EQ(sum, 300);
}

}  // namespace
}  // namespace tessera
