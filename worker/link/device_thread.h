#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "common/base/mutex.h"
#include "tessera/internal/v1/worker_link.pb.h"
#include "worker/link/command_executor.h"
#include "worker/pipeline/engine.h"

namespace tessera {

// The one thread that uses the engine. It carries out the server's commands in the order in which
// they came: HostStore, JoinGroup, RunJob, EndEpoch; and answers each. What belongs to an epoch
// before the newest one heard of is stale: it is dropped, and aborted where it is being carried
// out.
//
// Thread-safe; no method waits for the engine but the destructor.
class DeviceThread {
 public:
  using Send = CommandExecutor::Send;

  using Clock = std::function<int64_t()>;  // nanoseconds, never 0

  explicit DeviceThread(std::unique_ptr<Engine> engine, Clock clock = SteadyClockNs);
  // Aborts what the engine is doing and waits for it to come back.
  ~DeviceThread();

  const Engine& engine() const { return *engine_; }

  // A connection to a server begins. Answers go to `send`, which must not block nor call back,
  // until EndSession. `address` is what this rank's store, data and control sockets bind to.
  void BeginSession(std::string address, Send send);

  // It has ended: `send` is not called again, the epoch is over, and epochs are counted anew (the
  // next server may be another one). Nothing without a session.
  void EndSession(const std::string& reason);

  // HostStore, JoinGroup, RunJob, CancelJob or EndEpoch; others are ignored.
  void Handle(internal::v1::ConnectResponse message);

  // Since the engine began what it is doing or finished a step; 0 while it has nothing to do.
  // Milliseconds.
  int64_t SilentMs() const;

  // How the jobs that this rank took part in ended on it.
  struct Attempts {
    int64_t succeeded = 0;
    int64_t stopped = 0;  // by a vote
    int64_t failed = 0;
  };
  Attempts attempts();

 private:
  using Stop = std::atomic<StopReason>;
  struct Command {
    int64_t session = 0;
    internal::v1::ConnectResponse message;
    std::shared_ptr<Stop> stop;  // of RunJob; the running engine reads it
  };

  void Run(const std::stop_token& stop);
  internal::v1::ConnectRequest Execute(const Command& command);
  // Ends a command: from here on no command runs. Sends its last answer.
  void Finish(const Command& command, internal::v1::ConnectRequest answer);
  std::string Address();
  static int64_t SteadyClockNs();
  void MarkProgress();
  void Count(const internal::v1::JobDone& done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  bool IsStale(const Command& command) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Enqueue(internal::v1::ConnectResponse message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes epochs before `epoch` stale.
  void EnterEpoch(int64_t epoch, const std::string& reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AbortIfStale(const std::string& reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Unless the command's session has ended.
  void Answer(const Command& command, internal::v1::ConnectRequest message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Cancel(const internal::v1::CancelJob& cancel) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::unique_ptr<Engine> engine_;
  const Clock clock_;
  CommandExecutor executor_;
  std::atomic<int64_t> last_progress_ns_ = 0;  // 0 while idle

  Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Command> commands_ ABSL_GUARDED_BY(mutex_);
  const Command* running_ ABSL_GUARDED_BY(mutex_) = nullptr;  // on thread_'s stack
  int64_t session_ ABSL_GUARDED_BY(mutex_) = 0;
  Send send_ ABSL_GUARDED_BY(mutex_);  // null without a session
  std::string address_ ABSL_GUARDED_BY(mutex_);
  int64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;  // the oldest that is not stale
  Attempts attempts_ ABSL_GUARDED_BY(mutex_);

  std::jthread thread_;
};

}  // namespace tessera
