#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <optional>

namespace tessera {

// Keeps the host at most one step ahead of the device, so that a vote takes effect within a step
// and the device still never waits. On the CPU there is nothing to do. Owned by one thread.
class StepPacer {
 public:
  explicit StepPacer(c10::Device device) : device_(device) {}

  // After the work of a step is enqueued on the current stream: waits for the step before it.
  void EndStep();

  // Waits for the last step.
  void Finish();

 private:
  const c10::Device device_;
  std::optional<c10::Event> last_;  // the end of the step enqueued last
};

}  // namespace tessera
