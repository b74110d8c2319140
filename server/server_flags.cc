#include "server/server_flags.h"

#include <CLI/CLI.hpp>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/random_hex.h"
#include "common/base/status_macros.h"
#include "common/base/token_file.h"
#include "common/flags/strict_flags.h"
#include "common/model/model_info.h"
#include "common/tls/tls_files.h"

namespace tessera {
namespace {

constexpr int kMaxWorkers = 64;
constexpr double kMaxSeconds = 86400;

absl::Status CheckTogether(const ServerFlags& flags) {
  std::string problems;
  const auto require = [&](bool holds, const char* problem) {
    if (!holds) absl::StrAppend(&problems, problems.empty() ? "" : "; ", problem);
  };
  const bool spawns = flags.spawn_workers > 0;
  require(spawns || flags.group_size > 0,
          "give --spawn-workers N, or --group-size N for workers that dial in");
  require(!spawns || !flags.model.empty(), "--spawn-workers needs --model");
  require(!spawns || flags.settings.collectives == WorkerSettings::kGloo || flags.device == "cuda",
          "--collectives nccl needs --device cuda");
  require(!spawns || flags.settings.cuda_path == WorkerSettings::kAten || flags.device == "cuda",
          "--cuda-path tuned needs --device cuda");
  require(!spawns || flags.group_size <= flags.spawn_workers || !flags.worker_listen.empty(),
          "--group-size above --spawn-workers needs --worker-listen for the others");
  require(!spawns || !absl::StartsWith(flags.worker_listen, "unix"),
          "--spawn-workers needs --worker-listen HOST:PORT");
  const int size = flags.group_size > 0 ? flags.group_size : flags.spawn_workers;
  require(flags.min_ranks <= size, "--min-ranks is at most --group-size");
  require(flags.token.empty() || flags.token_file.empty(), "give --token or --token-file");
  require(spawns || !flags.token.empty() || !flags.token_file.empty(),
          "workers that dial in need --token-file or --token");
  require(flags.tls_cert.empty() == flags.tls_key.empty(), "--tls-cert and --tls-key go together");
  require(flags.tls_client_ca.empty() || !flags.tls_cert.empty(),
          "--tls-client-ca needs --tls-cert");
  return problems.empty() ? absl::OkStatus() : absl::InvalidArgumentError(problems);
}

absl::StatusOr<std::string> TokenOf(const ServerFlags& flags) {
  if (!flags.token_file.empty()) return ReadTokenFile(flags.token_file);
  if (!flags.token.empty()) return flags.token;
  return RandomHex();
}

absl::StatusOr<std::optional<TlsOptions>> TlsOf(const ServerFlags& flags) {
  if (flags.tls_cert.empty()) return std::nullopt;
  TESSERA_ASSIGN_OR_RETURN(PemIdentity identity, ReadPemIdentity(flags.tls_cert, flags.tls_key));
  TlsOptions tls = {.certificate_chain = std::move(identity.certificate_chain),
                    .private_key = std::move(identity.private_key)};
  if (!flags.tls_client_ca.empty()) {
    TESSERA_ASSIGN_OR_RETURN(tls.client_ca,
                             ReadCertificates("--tls-client-ca", flags.tls_client_ca));
  }
  return tls;
}

void AddGroupFlags(CLI::App& app, ServerFlags& flags) {
  app.add_option("--group-size", flags.group_size,
                 "How many workers make one picture together. 0 means all workers that this server "
                 "starts.")
      ->transform(NumberIn<int>(0, kMaxWorkers));
  app.add_option("--min-ranks", flags.min_ranks,
                 "How many ranks are enough when lost workers stay away. 0 means that none may be "
                 "missing.")
      ->transform(NumberIn<int>(0, kMaxWorkers));
  app.add_option(
         "--regroup-wait", flags.regroup_wait_s,
         "How many seconds the server waits for lost workers before fewer ranks are enough.")
      ->transform(NumberIn<double>(0.0, kMaxSeconds));
  app.add_option("--max-attempts", flags.max_attempts,
                 "How often a job may start. A job starts again when a worker is lost.")
      ->transform(NumberIn<int>(1, 100));
  app.add_option("--retry-window", flags.retry_window_s,
                 "For how many seconds after its first interruption a job may start again.")
      ->transform(NumberIn<double>(0.0, kMaxSeconds));
}

void AddListenerFlags(CLI::App& app, ServerFlags& flags) {
  app.add_option("--listen", flags.listen, "The address for clients. Port 0 means any free port.")
      ->check(AddressWithPort(0));
  app.add_option(
         "--worker-listen", flags.worker_listen,
         "The address for workers. Without this flag it is 127.0.0.1:0 when the server starts "
         "workers, and 127.0.0.1:50052 otherwise.")
      ->check(AddressWithPort(0));
  app.add_option("--token", flags.token,
                 "The secret that workers show. A file or the environment keeps the secret out of "
                 "the list of processes.")
      ->check(NotEmpty());
  app.add_option("--token-file", flags.token_file, "The file that holds the secret.")
      ->check(NotEmpty());
  app.add_option("--tls-cert", flags.tls_cert,
                 "The PEM file with the server's certificate chain. With this flag the server "
                 "accepts only TLS from clients.")
      ->check(NotEmpty());
  app.add_option("--tls-key", flags.tls_key, "The PEM file with the private key of --tls-cert.")
      ->check(NotEmpty());
  app.add_option("--tls-client-ca", flags.tls_client_ca,
                 "The PEM file with the authorities of clients. With this flag every client must "
                 "show a certificate that one of them has signed.")
      ->check(NotEmpty());
  app.add_option("--port-file", flags.port_file,
                 "The file to which the server writes its two ports once it listens.");
}

void AddRequestFlags(CLI::App& app, ServerFlags& flags) {
  app.add_option("--max-queue-length", flags.max_queue_length, "How many jobs may wait.")
      ->transform(NumberIn<int>(1, 100'000));
  app.add_option("--max-unary-reply-bytes", flags.max_unary_reply_bytes,
                 "The size of the largest reply of GenerateImage. gRPC clients accept 4 MiB "
                 "unless they are told otherwise.")
      ->transform(NumberIn<int64_t>(1, std::numeric_limits<int32_t>::max()));
  app.add_option(
         "--answer-cache-mb", flags.answer_cache_mb,
         "How many MiB of pictures the server keeps for calls that repeat a request_id. 0 means "
         "none.")
      ->transform(NumberIn<int>(0, 1 << 20));
  app.add_option(
         "--text-mode", flags.text_mode,
         "Whether the ranks split the text tokens or each compute all of them, for a request "
         "that does not say.")
      ->check(CLI::IsMember({"split", "replicated"}));
  app.add_option("--sync-steps", flags.sync_steps,
                 "How many leading steps are exact, for a request that does not say.")
      ->transform(NumberIn<int>(1, 1000));
  app.add_option("--refresh-every", flags.refresh_every,
                 "How many steps lie between later exact steps, for a request that does not say. 0 "
                 "means that there are none.")
      ->transform(NumberIn<int>(0, 1000));
}

}  // namespace

void AddServerFlags(CLI::App& app, ServerFlags& flags) {
  app.option_defaults()->always_capture_default();
  app.add_option(
      "--model", flags.model,
      "The folder of a FLUX checkpoint in the layout of diffusers. Without this flag the first "
      "worker says which model the server serves.");
  app.add_option("--spawn-workers", flags.spawn_workers,
                 "How many workers the server starts and keeps running.")
      ->transform(NumberIn<int>(0, kMaxWorkers));
  app.add_option(
         "--device", flags.device,
         "The kind of device of the workers that the server starts. With cuda, worker I gets "
         "cuda:I.")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  AddGroupFlags(app, flags);
  AddListenerFlags(app, flags);
  AddRequestFlags(app, flags);
  AddWorkerSettings(app, flags.settings, "Settings of the workers that the server starts");
  app.get_option("--log-level")->group("Options");
  AddEnvironmentTwins(app);
}

absl::StatusOr<ServerFlags> ParseServerFlags(int argc, const char* const* argv) {
  ServerFlags flags;
  CLI::App app("Makes pictures from texts with a FLUX model, for clients that call over gRPC.",
               "tessera-server");
  app.set_version_flag("--version", TESSERA_VERSION);
  app.footer(kEnvironmentFooter);
  AddServerFlags(app, flags);
  ParseFlagsOrExit(app, argc, argv);
  TESSERA_RETURN_IF_ERROR(CheckTogether(flags));
  if (flags.group_size == 0) flags.group_size = flags.spawn_workers;
  if (flags.worker_listen.empty()) {
    flags.worker_listen = flags.spawn_workers > 0 ? "127.0.0.1:0" : "127.0.0.1:50052";
  }
  return flags;
}

absl::StatusOr<TesseraServerOptions> MakeServerOptions(const ServerFlags& flags) {
  TesseraServerOptions options;
  options.listen = flags.listen;
  options.worker_listen = flags.worker_listen;
  TESSERA_ASSIGN_OR_RETURN(options.tls, TlsOf(flags));
  TESSERA_ASSIGN_OR_RETURN(options.worker_token, TokenOf(flags));
  if (!flags.model.empty()) {
    TESSERA_ASSIGN_OR_RETURN(options.model, ReadModelInfo(flags.model));
  }
  options.core.group.size = flags.group_size;
  options.core.group.min_ranks = flags.min_ranks;
  options.core.group.regroup_wait_s = flags.regroup_wait_s;
  options.core.scheduler.retry.max_attempts = flags.max_attempts;
  options.core.scheduler.retry.retry_window_s = flags.retry_window_s;
  options.core.calls.max_bytes = static_cast<int64_t>(flags.answer_cache_mb) << 20;
  options.core.scheduler.max_queue_length = flags.max_queue_length;
  options.max_unary_reply_bytes = flags.max_unary_reply_bytes;
  options.core.scheduler.defaults = {
      .sync_steps = flags.sync_steps,
      .refresh_every = flags.refresh_every,
      .text_mode = flags.text_mode == "split" ? v1::TEXT_MODE_SPLIT : v1::TEXT_MODE_REPLICATED};
  return options;
}

ChildWorkerOptions MakeChildOptions(const ServerFlags& flags, const std::string& token,
                                    int worker_port) {
  std::string host = flags.worker_listen.substr(0, flags.worker_listen.rfind(':'));
  if (host == "0.0.0.0" || host == "[::]") host = "127.0.0.1";
  return {.count = flags.spawn_workers,
          .server = absl::StrCat(host, ":", worker_port),
          .token = token,
          .model_dir = flags.model,
          .device = flags.device,
          .settings = flags.settings};
}

}  // namespace tessera
