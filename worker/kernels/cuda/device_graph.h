#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

#include "worker/kernels/kernel_choice.h"

namespace tessera {

// Work for a device, enqueued again by one call: a CUDA graph. It reads and writes the same memory
// every time. Owned by one thread.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  // Enqueues the work on the current stream.
  virtual void Replay() = 0;
};

class GraphRecorder {
 public:
  virtual ~GraphRecorder() = default;
  // Records what `work` enqueues; nothing runs yet. `work` neither waits for the device nor copies
  // from the host, and has run before, since libraries load on first use. The tensors that it makes
  // live in memory that all graphs of this recorder share, so what is read after a replay it writes
  // into tensors made earlier. Throws c10::Error, and what `work` throws.
  virtual std::unique_ptr<DeviceGraph> Record(const std::function<void()>& work) = 0;
};

// Null unless `kernels` asks for step graphs, on the CPU, and in a build without CUDA sources. The
// CUDA graphs have never run.
std::unique_ptr<GraphRecorder> MakeGraphRecorder(c10::Device device, KernelChoice kernels);

}  // namespace tessera
