#include "server/loop/termination_signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/termination_set.h"

namespace tessera {

TerminationSignals::TerminationSignals() {
  const sigset_t mask = TerminationSet();
  Check(pthread_sigmask(SIG_BLOCK, &mask, nullptr) == 0, "signals can be blocked");
  signals_ = UniqueFd(signalfd(-1, &mask, SFD_CLOEXEC));
  wake_ = UniqueFd(eventfd(0, EFD_CLOEXEC));
  Check(signals_.get() >= 0 && wake_.get() >= 0, "a signalfd and an eventfd can be made");
}

TerminationSignals::Event TerminationSignals::Wait() {
  pollfd watched[] = {{.fd = signals_.get(), .events = POLLIN, .revents = 0},
                      {.fd = wake_.get(), .events = POLLIN, .revents = 0}};
  while (poll(watched, 2, -1) <= 0) {
  }
  if (watched[0].revents != 0) {
    signalfd_siginfo info;
    Check(read(signals_.get(), &info, sizeof(info)) == sizeof(info), "a pending signal is read");
    return Event::kSignal;
  }
  eventfd_t count = 0;
  eventfd_read(wake_.get(), &count);
  return Event::kWoken;
}

void TerminationSignals::Wake() { eventfd_write(wake_.get(), 1); }

}  // namespace tessera
