#pragma once

#include <signal.h>

namespace tessera {

// The signals that ask a program to end: SIGTERM and SIGINT.
inline sigset_t TerminationSet() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace tessera
