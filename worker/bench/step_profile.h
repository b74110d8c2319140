#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "worker/bench/kernel_class.h"
#include "worker/bench/steady_step.h"

namespace tessera {

// Where a step's time goes, per step.
struct StepProfile {
  struct Class {
    double ms = 0;
    double launches = 0;  // kernels and copies of a GPU; calls of ATen operators on the CPU
  };
  int ranks = 1;
  double step_ms = 0;  // with the profiler on
  std::array<Class, kKernelClasses> classes;

  double launches() const;
  // Of the step: gaps between kernels on a GPU; on the CPU what is no ATen operator, our own
  // kernels among it.
  double rest_ms() const;
};

// One operator or kernel as the profiler saw it, in nanoseconds.
struct TimedEvent {
  std::string name;
  uint64_t begin_ns = 0, duration_ns = 0;
};

// Adds up events that lie side by side or inside one another, each without those inside it.
std::array<StepProfile::Class, kKernelClasses> SumByClass(std::vector<TimedEvent> events,
                                                          int steps);

// Runs `steps` steps of chunk 0 of `ranks` under torch's profiler (Kineto, over CUPTI on a GPU). On
// the CPU it sees the calling thread.
StepProfile ProfileStep(SteadyStep& step, int ranks, int steps);

}  // namespace tessera
