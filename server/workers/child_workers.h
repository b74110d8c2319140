#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "common/base/mutex.h"
#include "common/flags/worker_settings.h"
#include "common/supervisor/supervisor.h"
#include "server/workers/worker_launcher.h"

namespace tessera {

struct ChildWorkerOptions {
  int count = 0;
  std::string server;  // HOST:PORT of the workers' listener
  std::string token;
  std::string model_dir;
  std::string device;       // "cpu", or "cuda": worker i gets cuda:i
  WorkerSettings settings;  // of each; on the CPU 0 threads are an equal share of its cores
};

// The worker processes that this server starts: kept at `count`, ended with the server.
// Thread-safe.
class ChildWorkers final : public WorkerLauncher {
 public:
  // From the supervisor's thread, whenever a process has ended.
  using EndedCallback = std::function<void(int index, std::string description)>;

  // NOT_FOUND when there is no tessera-worker. Once.
  absl::Status Start(const ChildWorkerOptions& options, EndedCallback on_ended);

  void MarkArrived(int supervised_index) override;
  void Kill(int supervised_index) override;

  // Processes that end from now on stay ended.
  void StopRespawning();

  // Ends and reaps all of them. Idempotent.
  void Stop();

 private:
  AfterExit OnExit(const ChildExit& exit, const EndedCallback& on_ended);
  // Null before Start; then the same until this object goes.
  Supervisor* supervisor();

  Mutex mutex_;
  bool respawning_ ABSL_GUARDED_BY(mutex_) = true;
  std::unique_ptr<Supervisor> supervisor_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tessera
