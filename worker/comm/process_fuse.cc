#include "worker/comm/process_fuse.h"

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "absl/strings/str_format.h"
#include "worker/comm/deadline.h"

namespace tessera {

ProcessFuse::ProcessFuse(double limit_s, std::string what)
    : thread_([limit_s, what = std::move(what)](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any never;
        std::unique_lock lock(mutex);
        never.wait_until(lock, stop, DeadlineIn(limit_s), [] { return false; });
        if (stop.stop_requested()) return;
        EndProcess(absl::StrFormat("%s did not end within %g s", what, limit_s));
      }) {}

void EndProcess(const std::string& why) {
  std::fprintf(stderr, "tessera: this process ends: %s\n", why.c_str());
  std::fflush(nullptr);
  std::_Exit(1);
}

}  // namespace tessera
