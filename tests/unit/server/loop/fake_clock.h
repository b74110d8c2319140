#pragma once

#include "server/loop/clock.h"

namespace tessera::testing {

// Time that stands still until the test moves it. One thread uses it.
class FakeClock final : public Clock {
 public:
  TimePoint Now() const override { return now_; }
  void Advance(double seconds) { now_ += Seconds(seconds); }

 private:
  TimePoint now_ = TimePoint(std::chrono::hours(1));
};

}  // namespace tessera::testing
