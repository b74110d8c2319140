#include "client/interrupt_watch.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <cstdlib>

#include "common/base/termination_set.h"

namespace tessera {
namespace {

constexpr int kInterruptedExitCode = 130;

UniqueFd BlockAndOpenSignals() {
  const sigset_t signals = TerminationSet();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return UniqueFd(signalfd(-1, &signals, SFD_CLOEXEC));
}

}  // namespace

InterruptWatch::InterruptWatch()
    : signals_(BlockAndOpenSignals()),
      end_(eventfd(0, EFD_CLOEXEC)),
      thread_([this] { Watch(); }) {}

InterruptWatch::~InterruptWatch() { eventfd_write(end_.get(), 1); }

void InterruptWatch::Watch() {
  for (;;) {
    pollfd watched[] = {{.fd = signals_.get(), .events = POLLIN, .revents = 0},
                        {.fd = end_.get(), .events = POLLIN, .revents = 0}};
    poll(watched, 2, -1);
    if (watched[1].revents != 0) return;
    signalfd_siginfo info;
    if (watched[0].revents == 0 || read(signals_.get(), &info, sizeof info) != sizeof info)
      continue;
    if (!source_.request_stop()) std::_Exit(kInterruptedExitCode);
  }
}

}  // namespace tessera
