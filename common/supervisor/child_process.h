#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace tessera {

// A program to run. `args` excludes argv[0], which is `binary`; `environment` ("NAME=value") goes
// over the parent's own.
struct ChildCommand {
  std::string binary;
  std::vector<std::string> args;
  std::vector<std::string> environment;
};

// A child that has not been reaped.
struct ChildProcess {
  pid_t pid = -1;
  UniqueFd pidfd;  // readable once the child has ended
};

// Set in a child's environment: its standard input ends with its parent.
inline constexpr char kParentOnStdin[] = "TESSERA_PARENT_ON_STDIN";

// Starts a child that dies with the calling thread, so call it from one that lives as long as the
// children may. `stdin_fd` becomes its standard input; output and error are inherited, nothing else
// is. It leads a process group of its own (a terminal's Ctrl-C reaches only us) and has default
// signal handling. When the binary cannot be executed, the child ends with exit code 127.
absl::StatusOr<ChildProcess> StartChild(const ChildCommand& command, int stdin_fd);

// Waits for a child that has ended or is about to; returns "exit code 1" or "signal 9 (Killed)".
std::string ReapChild(const ChildProcess& child);

void SendSignal(const ChildProcess& child, int signal_number);

}  // namespace tessera
