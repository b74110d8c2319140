#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "client/client_flags.h"
#include "client/generate_command.h"
#include "client/image_client.h"
#include "client/interrupt_watch.h"
#include "client/server_info_text.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

constexpr int kInterruptedExitCode = 130;

absl::Status RunInfo(const ClientFlags& flags, const std::stop_token& stop) {
  TESSERA_ASSIGN_OR_RETURN(const v1::GetServerInfoResponse info,
                           ImageClient(flags.connection).GetServerInfo(stop));
  std::fputs(ServerInfoText(info).c_str(), stdout);
  return absl::OkStatus();
}

absl::Status RunHealth(const ClientFlags& flags, const std::stop_token& stop) {
  TESSERA_RETURN_IF_ERROR(ImageClient(flags.connection).CheckHealth(stop));
  std::puts("SERVING");
  return absl::OkStatus();
}

absl::Status RunAlive(const ClientFlags& flags, const std::stop_token& stop) {
  ImageClientOptions once = flags.connection;
  once.max_tries = 1;
  TESSERA_RETURN_IF_ERROR(ImageClient(once).GetServerInfo(stop).status());  // by the event loop
  std::puts("ALIVE");
  return absl::OkStatus();
}

absl::Status Run(const ClientFlags& flags, const std::stop_token& stop) {
  switch (flags.command) {
    case ClientCommand::kGenerate:
      return RunGenerate(flags, stop);
    case ClientCommand::kInfo:
      return RunInfo(flags, stop);
    case ClientCommand::kHealth:
      return RunHealth(flags, stop);
    case ClientCommand::kAlive:
      return RunAlive(flags, stop);
  }
  return absl::InternalError("no such command");
}

int Main(int argc, const char* const* argv) {
  const absl::StatusOr<ClientFlags> flags = ParseClientFlags(argc, argv);
  if (!flags.ok()) {
    std::fprintf(stderr, "tessera: %s\n", std::string(flags.status().message()).c_str());
    return 2;
  }
  const InterruptWatch interrupts;  // before gRPC starts threads
  const absl::Status status = Run(*flags, interrupts.stop());
  if (status.ok()) return 0;
  std::fprintf(stderr, "tessera: %s\n", status.ToString().c_str());
  return interrupts.stop().stop_requested() ? kInterruptedExitCode : 1;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) { return tessera::Main(argc, argv); }
