#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "server/loop/termination_signals.h"
#include "server/server_flags.h"
#include "server/tessera_server.h"
#include "server/workers/child_workers.h"
#include "spdlog/async.h"
#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"

namespace tessera {
namespace {

// A log that cannot be written (a full disk, a pipe that nobody reads) loses lines and holds nobody
// up.
void StartLog(const std::string& level) {
  spdlog::set_default_logger(
      spdlog::create_async_nb<spdlog::sinks::stderr_color_sink_mt>("tessera-server"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z level=%l %v");
  spdlog::set_level(spdlog::level::from_str(level));
}

// Whoever waits for the file finds it whole.
absl::Status WritePortFile(const std::string& path, const TesseraServer& server) {
  const std::string temporary = path + ".new";
  {
    std::ofstream file(temporary);
    file << "listen=" << server.port() << "\nworker_listen=" << server.worker_port() << "\n";
    if (!file.flush()) return absl::UnavailableError(temporary + ": cannot be written");
  }
  if (std::rename(temporary.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, path);
}

// Until a drain is over, or a second signal comes.
void WaitForTheEnd(TerminationSignals& signals, TesseraServer& server) {
  signals.Wait();
  spdlog::info("event=signal what=\"finish admitted jobs, then end\"");
  server.Drain([&signals] { signals.Wake(); });
  if (signals.Wait() == TerminationSignals::Event::kSignal) {
    spdlog::warn("event=signal what=\"end at once\"");
  }
}

absl::Status RunUntilTheEnd(const ServerFlags& flags, const std::string& token,
                            TerminationSignals& signals, ChildWorkers& children,
                            TesseraServer& server) {
  if (flags.spawn_workers > 0) {
    TESSERA_RETURN_IF_ERROR(children.Start(MakeChildOptions(flags, token, server.worker_port()),
                                           [&server](int index, std::string description) {
                                             server.core().OnChildEnded(index,
                                                                        std::move(description));
                                           }));
  }
  if (!flags.port_file.empty()) TESSERA_RETURN_IF_ERROR(WritePortFile(flags.port_file, server));
  WaitForTheEnd(signals, server);
  return absl::OkStatus();
}

absl::Status Serve(const ServerFlags& flags, TerminationSignals& signals) {
  ChildWorkers children;
  TESSERA_ASSIGN_OR_RETURN(TesseraServerOptions options, MakeServerOptions(flags));
  if (flags.spawn_workers > 0) options.launcher = &children;
  const std::string token = options.worker_token;
  TESSERA_ASSIGN_OR_RETURN(const auto server, TesseraServer::Start(std::move(options)));
  spdlog::info("event=listening port={} worker_port={} version={}", server->port(),
               server->worker_port(), TESSERA_VERSION);
  const absl::Status ended = RunUntilTheEnd(flags, token, signals, children, *server);
  children.StopRespawning();
  server->Stop();
  children.Stop();
  spdlog::info("event=ended");
  return ended;
}

int Main(int argc, const char* const* argv) {
  const absl::StatusOr<ServerFlags> flags = ParseServerFlags(argc, argv);
  if (!flags.ok()) {
    std::fprintf(stderr, "tessera-server: %s\n", std::string(flags.status().message()).c_str());
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);    // whoever reads the log may go away
  TerminationSignals signals;  // before there is a second thread
  StartLog(flags->settings.log_level);
  const absl::Status served = Serve(*flags, signals);
  if (!served.ok()) spdlog::error("event=failed why=\"{}\"", std::string(served.message()));
  spdlog::shutdown();
  return served.ok() ? 0 : 1;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) { return tessera::Main(argc, argv); }
