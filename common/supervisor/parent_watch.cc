#include "common/supervisor/parent_watch.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "common/supervisor/child_process.h"

namespace tessera {
namespace {

void WaitForEnd(int fd, int stop_fd, const std::function<void()>& on_parent_gone) {
  pollfd watched[] = {{.fd = fd, .events = POLLIN, .revents = 0},
                      {.fd = stop_fd, .events = POLLIN, .revents = 0}};
  for (;;) {
    if (poll(watched, 2, -1) < 0 && errno != EINTR) return;
    if (watched[1].revents != 0) return;
    if (watched[0].revents == 0) continue;
    char discarded[256];
    if (read(fd, discarded, sizeof discarded) <= 0) return on_parent_gone();
  }
}

}  // namespace

std::unique_ptr<ParentWatch> ParentWatch::ForThisProcess(std::function<void()> on_parent_gone) {
  if (getenv(kParentOnStdin) == nullptr) return nullptr;
  return std::make_unique<ParentWatch>(STDIN_FILENO, std::move(on_parent_gone));
}

ParentWatch::ParentWatch(int fd, std::function<void()> on_parent_gone)
    : stop_(eventfd(0, EFD_CLOEXEC)),
      thread_([fd, stop_fd = stop_.get(), gone = std::move(on_parent_gone)] {
        WaitForEnd(fd, stop_fd, gone);
      }) {}

ParentWatch::~ParentWatch() { eventfd_write(stop_.get(), 1); }

}  // namespace tessera
