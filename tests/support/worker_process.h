#pragma once

#include <string>
#include <vector>

#include "common/supervisor/child_process.h"

namespace tessera::testing {

// What workers that dial in and their server share, as TESSERA_TOKEN or --token.
inline constexpr char kWorkerToken[] = "secret";

// A real tessera-worker of tests/reference/tiny-flux on the CPU, one thread, that dials in. Killed
// with the object.
class WorkerProcess {
 public:
  // A worker that cannot be started is a test failure.
  explicit WorkerProcess(int server_port, const std::vector<std::string>& flags = {});
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  pid_t pid() const { return process_.pid; }

 private:
  UniqueFd lifeline_;  // the worker's standard input ends with it
  ChildProcess process_;
};

}  // namespace tessera::testing
