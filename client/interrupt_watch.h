#pragma once

#include <stop_token>
#include <thread>

#include "common/base/unique_fd.h"

namespace tessera {

// Turns SIGINT and SIGTERM into a stop; a second one ends the process with exit code 130. Construct
// it before the process has a second thread: the signals are blocked in all of them.
class InterruptWatch {
 public:
  InterruptWatch();
  ~InterruptWatch();

  std::stop_token stop() const { return source_.get_token(); }

 private:
  void Watch();

  std::stop_source source_;
  UniqueFd signals_;  // a signalfd
  UniqueFd end_;      // an eventfd
  std::jthread thread_;
};

}  // namespace tessera
