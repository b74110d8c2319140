#include "worker/link/device_parent.h"

#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/termination_set.h"
#include "common/supervisor/supervisor.h"
#include "spdlog/spdlog.h"

namespace tessera {
namespace {

std::vector<ChildCommand> CommandsOf(const WorkerFlags& flags) {
  std::error_code error;  // then the path is empty, and the supervisor refuses it
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", error);
  std::vector<ChildCommand> commands;
  for (size_t i = 0; i < flags.devices.size(); ++i) {
    commands.push_back(
        {.binary = self,
         .args = ChildArguments(flags, i),
         .environment = {"TESSERA_DEVICES=", absl::StrCat("TESSERA_TOKEN=", flags.token)}});
  }
  return commands;
}

}  // namespace

absl::Status RunDeviceParent(const WorkerFlags& flags) {
  const auto on_exit = [&](const ChildExit& exit) {
    spdlog::warn("event=child_ended device={} pid={} how=\"{}\" respawn_in_s={:.1f}",
                 flags.devices[exit.index], exit.pid, exit.description, exit.backoff_s);
    return AfterExit::kRespawn;
  };
  TESSERA_ASSIGN_OR_RETURN(const std::unique_ptr<Supervisor> children,
                           Supervisor::Start(CommandsOf(flags), SupervisorOptions(), on_exit));
  const sigset_t termination = TerminationSet();
  int received = 0;
  sigwait(&termination, &received);
  spdlog::info("event=signal what=\"end the children\"");
  children->Stop();
  return absl::OkStatus();
}

}  // namespace tessera
