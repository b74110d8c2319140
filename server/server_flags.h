#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/flags/worker_settings.h"
#include "server/tessera_server.h"
#include "server/workers/child_workers.h"

namespace CLI {
class App;
}  // namespace CLI

namespace tessera {

// The command line of tessera-server. Every flag --some-name has an environment twin
// TESSERA_SOME_NAME.
struct ServerFlags {
  std::string model;  // folder of a checkpoint; empty: the workers tell
  std::string device = "cpu";
  int spawn_workers = 0;
  int group_size = 0;  // 0: as many as are spawned
  int min_ranks = 0;   // 0: group_size
  double regroup_wait_s = 15;
  int max_attempts = 3;
  double retry_window_s = 300;
  int answer_cache_mb = 64;
  WorkerSettings settings;  // of spawned workers; log_level also of the server
  std::string listen = "127.0.0.1:50051";
  std::string worker_listen;  // empty: a free port on loopback when workers are spawned, else 50052
  std::string token;
  std::string token_file;
  std::string tls_cert;
  std::string tls_key;
  std::string tls_client_ca;
  int max_queue_length = 32;
  int64_t max_unary_reply_bytes = kDefaultMaxUnaryReplyBytes;
  std::string text_mode = "split";
  int sync_steps = 1;
  int refresh_every = 0;
  std::string port_file;
};

// Adds every flag to `app`; parsing `app` fills `flags`, which must live as long.
void AddServerFlags(CLI::App& app, ServerFlags& flags);

// Ends the process by itself for --help, --version and unknown or malformed flags.
// INVALID_ARGUMENT names the flags that do not go together.
absl::StatusOr<ServerFlags> ParseServerFlags(int argc, const char* const* argv);

// Reads the files that the flags name. An error names the file, and the flag where the file is one
// for TLS. A token is drawn when none is given and workers are spawned.
absl::StatusOr<TesseraServerOptions> MakeServerOptions(const ServerFlags& flags);

// `worker_port` is the one that was chosen.
ChildWorkerOptions MakeChildOptions(const ServerFlags& flags, const std::string& token,
                                    int worker_port);

}  // namespace tessera
