#include "tests/support/worker_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace tessera::testing {

WorkerProcess::WorkerProcess(int server_port, const std::vector<std::string>& flags) {
  ChildCommand command = {.binary = TESSERA_WORKER_PROGRAM,
                          .args = {"--server", absl::StrCat("127.0.0.1:", server_port), "--model",
                                   TESSERA_TINY_FLUX_DIR, "--device", "cpu", "--threads", "1",
                                   "--log-level", "warning"},
                          .environment = {absl::StrCat("TESSERA_TOKEN=", kWorkerToken)}};
  command.args.insert(command.args.end(), flags.begin(), flags.end());
  int ends[2] = {-1, -1};
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd input(ends[0]);
  lifeline_ = UniqueFd(ends[1]);
  absl::StatusOr<ChildProcess> started = StartChild(command, input.get());
  EXPECT_TRUE(started.ok()) << started.status();
  if (started.ok()) process_ = *std::move(started);
}

WorkerProcess::~WorkerProcess() {
  if (process_.pid <= 0) return;
  SendSignal(process_, SIGKILL);
  ReapChild(process_);
}

}  // namespace tessera::testing
