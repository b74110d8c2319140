#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "server/jobs/idempotent_calls.h"
#include "server/jobs/job_counter.h"
#include "server/jobs/job_log.h"
#include "server/jobs/picture_encoder.h"
#include "server/jobs/scheduler.h"
#include "server/loop/event_loop.h"
#include "server/workers/worker_group.h"
#include "server/workers/worker_pool.h"

namespace tessera {

struct ServerCoreOptions {
  WorkerPoolOptions pool;
  WorkerGroupOptions group;
  SchedulerOptions scheduler;
  IdempotentCallsOptions calls;
};

// Everything behind the two listeners: the door through which gRPC's threads reach the scheduler
// and the workers. Every member function may be called from any thread and only posts to the event
// loop; all callbacks come from the loop's thread.
class ServerCore {
 public:
  // Whether a whole group answers heartbeats and new jobs are taken.
  using ReadyCallback = absl::AnyInvocable<void(bool ready)>;

  // `loop` is not running yet, and outlives the core. `model` is absent when the first worker
  // decides it; `launcher` is null when this server starts no workers.
  ServerCore(const ServerCoreOptions& options, const Clock& clock, EventLoop& loop,
             std::optional<ModelInfo> model, WorkerLauncher* launcher,
             RequestResolver::SeedSource draw_seed, ReadyCallback on_ready_changed);

  // Returns the call's id, which is the job's if the call makes one. The listener hears how it
  // ends, in any case.
  // Its reply may take `max_reply_bytes`: what may take more is refused.
  std::string Submit(v1::GenerateImageRequest request, int64_t max_reply_bytes, TimePoint deadline,
                     std::shared_ptr<JobListener> listener);
  // The client of this call has left.
  void Cancel(std::string call_id);
  void Describe(absl::AnyInvocable<void(v1::GetServerInfoResponse)> done);

  void OnLinkMessage(std::shared_ptr<WorkerChannel> channel, internal::v1::ConnectRequest message);
  void OnLinkClosed(std::shared_ptr<WorkerChannel> channel);

  // A worker process that this server started has ended.
  void OnChildEnded(int supervised_index, std::string description);

  // Refuses new jobs; `drained` is called when the admitted ones have ended.
  void Drain(absl::AnyInvocable<void()> drained);
  // Ends what is left without waiting for the group.
  void FailAll();
  // Tells the workers to end.
  void DismissWorkers(std::string why);

 private:
  TimePoint OnTime(TimePoint now);
  v1::GetServerInfoResponse ServerInfo() const;

  const SchedulerOptions options_;
  const Clock& clock_;
  EventLoop& loop_;
  const std::string id_prefix_;  // tells the jobs of this run of the server from others'
  std::atomic<int64_t> last_job_ = 0;

  // Only the loop's thread touches what follows.
  WorkerPool pool_;
  WorkerGroup group_;
  PngThreads png_threads_;
  JobLog job_log_;
  JobCounter job_counter_;
  JobObservers observers_{{&job_log_, &job_counter_}};
  Scheduler scheduler_;
  IdempotentCalls calls_;
  ReadyCallback on_ready_changed_;
  bool was_ready_ = false;
};

}  // namespace tessera
