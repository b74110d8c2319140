#pragma once

#include <sys/types.h>

#include <string>

namespace tessera::testing {

// What a process holds, from /proc.
struct ProcessFootprint {
  int descriptors = 0;
  int threads = 0;
  double resident_mib = 0;
};

// A test failure when there is no such process.
ProcessFootprint FootprintOf(pid_t pid);

std::string ToString(const ProcessFootprint& footprint);

}  // namespace tessera::testing
