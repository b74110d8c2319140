#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/base/unique_fd.h"
#include "common/supervisor/child_process.h"

namespace tessera {

struct SupervisorOptions {
  double short_life_s = 5;       // a child that ends sooner waits before it is started again
  double first_backoff_s = 0.1;  // after one short life; doubles with each one that follows
  double max_backoff_s = 10;
  double stop_grace_s = 5;  // from SIGTERM to SIGKILL
};

// How a child ended.
struct ChildExit {
  int index = 0;
  pid_t pid = -1;           // -1: it could not be started
  std::string description;  // "exit code 1", "signal 9 (Killed)", "could not be started: ..."
  int short_lives = 0;      // its latest lives shorter than short_life_s, this one included
  double backoff_s = 0;     // until it starts again, if it does
};

enum class AfterExit {
  kRespawn,    // after backoff_s
  kStayEnded,  // until Respawn
};

// Keeps one child process per command, and ends them all with itself.
//
// A child lives at most as long as this process, however that ends: the kernel sends it SIGKILL
// (PR_SET_PDEATHSIG), and its standard input is a pipe that ends with this process (see
// parent_watch.h). It inherits standard output and error and no other descriptor.
//
// Thread-safe. One thread starts, watches and reaps the children, and calls `on_exit`, without a
// lock held: the callback may call anything but Stop and the destructor.
class Supervisor {
 public:
  using ExitCallback = std::function<AfterExit(const ChildExit&)>;

  // Starts a child per command, whose index is the command's, before it returns. NOT_FOUND when a
  // binary is missing or cannot be executed.
  static absl::StatusOr<std::unique_ptr<Supervisor>> Start(std::vector<ChildCommand> commands,
                                                           const SupervisorOptions& options,
                                                           ExitCallback on_exit);
  // Stops.
  ~Supervisor();

  // SIGKILL; on_exit follows. Nothing when no such child is running.
  void Kill(int index);

  // A running child works: however soon it ends, its life was not a short one. Nothing when no such
  // child is running.
  void MarkHealthy(int index);

  // Starts a child that is not running, at once. Nothing when it runs.
  void Respawn(int index);

  // -1 while the child is not running.
  pid_t pid(int index) const;

  // SIGTERM to all, SIGKILL to those that are left after the grace, and waits for all of them. No
  // on_exit is called from here on. Idempotent.
  void Stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Child {
    ChildCommand command;
    ChildProcess process;  // its pid is -1 while it does not run
    Clock::time_point started;
    bool healthy = false;                       // MarkHealthy, since then
    std::optional<Clock::time_point> start_at;  // while it waits to be started
    int short_lives = 0;
  };

  Supervisor(std::vector<ChildCommand> commands, const SupervisorOptions& options,
             ExitCallback on_exit, UniqueFd wake, UniqueFd parent_read, UniqueFd parent_write);

  void Run(const std::stop_token& stop, std::promise<void> first_started);
  // Starts every child whose time has come; returns those that could not be.
  std::vector<ChildExit> StartDue();
  std::vector<ChildExit> ReapEnded();
  ChildExit Ended(Child& child, std::string description) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Report(const ChildExit& exit);
  std::optional<Clock::time_point> NextStart() const;
  // Returns when a child has ended, something was asked for, or at `until`.
  void Wait(std::optional<Clock::time_point> until);
  bool Runs(int index) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool AnyRuns() const;
  void SignalAll(int signal_number);
  void EndAll();

  const SupervisorOptions options_;
  const ExitCallback on_exit_;
  const UniqueFd wake_;          // an eventfd
  const UniqueFd parent_read_;   // every child's standard input
  const UniqueFd parent_write_;  // only this process has it
  mutable Mutex mutex_;
  std::vector<Child> children_ ABSL_GUARDED_BY(mutex_);
  Mutex stop_mutex_;
  std::jthread thread_ ABSL_GUARDED_BY(stop_mutex_);
};

}  // namespace tessera
