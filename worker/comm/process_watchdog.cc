#include "worker/comm/process_watchdog.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/sleep.h"

namespace tessera {

ProcessWatchdog::ProcessWatchdog(double limit_s, std::string what)
    : thread_([limit_s, what = std::move(what)](const std::stop_token& stop) {
        SleepFor(limit_s, stop);
        if (stop.stop_requested()) return;
        EndProcess(absl::StrFormat("%s did not end within %g s", what, limit_s));
      }) {}

void EndProcess(const std::string& why) {
  std::fprintf(stderr, "tessera: this process ends: %s\n", why.c_str());
  std::fflush(nullptr);
  std::_Exit(1);
}

}  // namespace tessera
