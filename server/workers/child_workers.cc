#include "server/workers/child_workers.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/supervisor/worker_binary.h"

namespace tessera {
namespace {

WorkerSettings SettingsOfEach(const ChildWorkerOptions& options) {
  WorkerSettings settings = options.settings;
  if (settings.threads == 0 && options.device == "cpu") {
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    settings.threads = std::max(1, cores / options.count);
  }
  return settings;
}

ChildCommand CommandOf(const ChildWorkerOptions& options, const std::string& binary, int index) {
  const std::string device =
      options.device == "cuda" ? absl::StrCat("cuda:", index) : options.device;
  ChildCommand command = {
      .binary = binary,
      .args = {"--server", options.server, "--model", options.model_dir, "--device", device,
               "--supervised-index", absl::StrCat(index), "--name", absl::StrCat("worker-", index)},
      // Everybody on this machine can read a command line, so the token is not in it.
      .environment = {absl::StrCat("TESSERA_TOKEN=", options.token)}};
  const std::vector<std::string> settings = ArgumentsOf(SettingsOfEach(options));
  command.args.insert(command.args.end(), settings.begin(), settings.end());
  return command;
}

}  // namespace

absl::Status ChildWorkers::Start(const ChildWorkerOptions& options, EndedCallback on_ended) {
  TESSERA_ASSIGN_OR_RETURN(const std::string binary, FindWorkerBinary());
  std::vector<ChildCommand> commands;
  for (int i = 0; i < options.count; ++i) commands.push_back(CommandOf(options, binary, i));
  TESSERA_ASSIGN_OR_RETURN(
      auto supervisor,
      Supervisor::Start(std::move(commands), SupervisorOptions(),
                        [this, on_ended = std::move(on_ended)](const ChildExit& exit) {
                          return OnExit(exit, on_ended);
                        }));
  MutexLock lock(mutex_);
  supervisor_ = std::move(supervisor);
  return absl::OkStatus();
}

Supervisor* ChildWorkers::supervisor() {
  MutexLock lock(mutex_);
  return supervisor_.get();
}

AfterExit ChildWorkers::OnExit(const ChildExit& exit, const EndedCallback& on_ended) {
  {
    MutexLock lock(mutex_);
    if (!respawning_) return AfterExit::kStayEnded;
  }
  on_ended(exit.index, exit.description);
  return AfterExit::kRespawn;
}

void ChildWorkers::MarkArrived(int supervised_index) {
  if (Supervisor* running = supervisor()) running->MarkHealthy(supervised_index);
}

void ChildWorkers::Kill(int supervised_index) {
  if (Supervisor* running = supervisor()) running->Kill(supervised_index);
}

void ChildWorkers::StopRespawning() {
  MutexLock lock(mutex_);
  respawning_ = false;
}

void ChildWorkers::Stop() {
  StopRespawning();
  if (Supervisor* running = supervisor()) running->Stop();
}

}  // namespace tessera
