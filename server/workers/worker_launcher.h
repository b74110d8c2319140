#pragma once

namespace tessera {

// Whoever keeps the worker processes that this server started. Thread-safe.
class WorkerLauncher {
 public:
  virtual ~WorkerLauncher() = default;

  // A worker's process has registered, so its start was no failure.
  virtual void MarkArrived(int supervised_index) = 0;

  // Ends a worker's process by force; another takes its place.
  virtual void Kill(int supervised_index) = 0;
};

}  // namespace tessera
