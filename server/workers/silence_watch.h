#pragma once

#include <algorithm>

#include "server/loop/clock.h"

namespace tessera {

struct SilenceOptions {
  double heartbeat_interval_s = 0.5;
  double silence_limit_s = 2;  // without a message, until a worker is lost
};

// Says when workers are to be pinged, and which of them have fallen silent. Used on the event
// loop's thread.
class SilenceWatch {
 public:
  explicit SilenceWatch(const SilenceOptions& options) : options_(options) {}

  // A worker has arrived: pings begin, unless they are under way.
  void OnArrived(TimePoint now) { next_ping_ = std::min(next_ping_, now + Interval()); }

  // Whether all workers are to be pinged now; if so, the next ping is due an interval later, or
  // never when there are no workers.
  bool TakePing(TimePoint now, bool any_workers) {
    if (now < next_ping_) return false;
    next_ping_ = any_workers ? now + Interval() : kNever;
    return any_workers;
  }

  bool IsSilent(TimePoint heard_at, TimePoint now) const { return now >= SilentAt(heard_at); }
  TimePoint SilentAt(TimePoint heard_at) const {
    return heard_at + Seconds(options_.silence_limit_s);
  }

  // How much of the time since `due` says nothing about the workers, because this process itself
  // was stopped and came back late.
  TimePoint::duration Excused(TimePoint due, TimePoint now) const {
    const TimePoint::duration late = now - due;
    return late > Interval() ? late : TimePoint::duration::zero();
  }

  TimePoint next_ping() const { return next_ping_; }

 private:
  TimePoint::duration Interval() const { return Seconds(options_.heartbeat_interval_s); }

  const SilenceOptions options_;
  TimePoint next_ping_ = kNever;
};

}  // namespace tessera
