#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/support/image_call.h"

namespace tessera::testing {

// Whether the whole of the fault suite is asked for (TESSERA_FAULTS=all), and not the short one
// that tools/test runs.
bool WholeFaultSuite();

// A job of over a second, on three ranks and two cores.
v1::GenerateImageRequest LongJob(int steps = 10);
// The pictures it makes when nothing disturbs it.
std::vector<std::string> UndisturbedPngs(const ServiceProcess& service,
                                         const v1::GenerateImageRequest& request);

// The process ids of all workers that are linked.
std::set<int64_t> WorkerPids(const ServiceProcess& service);

// A call in whose course a fault came, and what was seen of it.
struct Disturbed {
  CallResult result;
  int steps_done = 0;       // when the fault came
  bool mid_job = false;     // it came while the job ran
  double detected_s = -1;   // from the fault until the job waits again; -1: it never did
  double next_step_s = -1;  // from the fault until the next attempt's first step
};

// Makes a call, and the fault at the first event that matches.
Disturbed Disturb(const ServiceProcess& service, const v1::GenerateImageRequest& request,
                  const ImageCall::Matcher& when, const std::function<void()>& fault);

// Adds a row to the table that tools/faults shows, the file named by $TESSERA_FAULT_REPORT, and to
// the test's output: the fault, what was seen, and the outcome ("the same bytes").
void Report(const std::string& fault, const Disturbed& seen, const std::string& outcome);

// The same pictures after `attempts` attempts; a row of the report either way.
void ExpectRecovered(const std::string& fault, const Disturbed& seen,
                     const std::vector<std::string>& undisturbed, int attempts = 2);

}  // namespace tessera::testing
