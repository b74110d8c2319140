#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tessera {

// A program to run. `args` excludes argv[0], which is `binary`; `environment` ("NAME=value") goes
// over the parent's own.
struct ChildCommand {
  std::string binary;
  std::vector<std::string> args;
  std::vector<std::string> environment;
};

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

  // Starts a child per command; its index is the command's. NOT_FOUND when a binary is missing or
  // cannot be executed.
  static absl::StatusOr<std::unique_ptr<Supervisor>> Start(std::vector<ChildCommand> commands,
                                                           const SupervisorOptions& options,
                                                           ExitCallback on_exit);
  // Stops.
  ~Supervisor();

  // SIGKILL; on_exit follows. Nothing when the child is not running.
  void Kill(int index);

  // Starts a child that is not running, at once. Nothing when it runs.
  void Respawn(int index);

  // -1 while the child is not running.
  pid_t pid(int index) const;

  // SIGTERM to all, SIGKILL to those that are left after the grace, and waits for all of them. No
  // on_exit is called from here on. Idempotent.
  void Stop();

 private:
  class Impl;
  explicit Supervisor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The path of tessera-worker: beside this process's own executable, or where the build tree has it
// (../worker). NOT_FOUND names both places.
absl::StatusOr<std::string> FindWorkerBinary();

}  // namespace tessera
