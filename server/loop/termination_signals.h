#pragma once

#include "common/base/unique_fd.h"

namespace tessera {

// SIGTERM and SIGINT as something that one thread waits for. Construct it before the process has a
// second thread: the signals are blocked in all of them.
class TerminationSignals {
 public:
  enum class Event { kSignal, kWoken };

  TerminationSignals();

  // Returns when a signal has come, or after Wake.
  Event Wait();

  // From any thread.
  void Wake();

 private:
  UniqueFd signals_;  // a signalfd
  UniqueFd wake_;     // an eventfd
};

}  // namespace tessera
