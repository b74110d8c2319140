#include "server/loop/termination_signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

namespace tessera {
namespace {

// In a process of its own, since the signals stay blocked.
[[noreturn]] void WaitForBothSignalsAndAWake() {
  TerminationSignals signals;
  using Event = TerminationSignals::Event;
  for (int number : {SIGTERM, SIGINT}) {
    kill(getpid(), number);
    if (signals.Wait() != Event::kSignal) std::_Exit(1);
  }
  std::jthread waker([&] { signals.Wake(); });
  std::_Exit(signals.Wait() == Event::kWoken ? 0 : 2);
}

TEST(TerminationSignalsDeathTest, ReportsSignalsAndWakes) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(WaitForBothSignalsAndAWake(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace tessera
