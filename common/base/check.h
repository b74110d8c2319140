#pragma once

#include <cstdio>
#include <cstdlib>

namespace tessera {

// Ends the process when an invariant of our own is broken. Never for input, I/O or a peer.
inline void Check(bool holds, const char* invariant) {
  if (holds) return;
  std::fprintf(stderr, "tessera: broken invariant: %s\n", invariant);
  std::abort();
}

}  // namespace tessera
