#pragma once

namespace tessera {

// Whoever keeps the worker processes that this server started. Thread-safe.
class WorkerLauncher {
 public:
  virtual ~WorkerLauncher() = default;

  // Ends a worker's process by force; another takes its place.
  virtual void Kill(int supervised_index) = 0;
};

}  // namespace tessera
