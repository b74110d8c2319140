#pragma once

#include <string>
#include <thread>

namespace tessera {

// Ends this process with exit code 1 and a line on standard error, unless destroyed within
// `limit_s`. For calls into a driver that may never return and that nothing can interrupt.
class ProcessWatchdog {
 public:
  ProcessWatchdog(double limit_s, std::string what);

 private:
  std::jthread thread_;
};

// At once, without destructors: other threads may be stuck.
[[noreturn]] void EndProcess(const std::string& why);

}  // namespace tessera
