#include "server/server_flags.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/file.h"
#include "common/base/random_hex.h"
#include "common/base/status_macros.h"
#include "common/base/token_file.h"
#include "common/model/dtype_names.h"
#include "common/model/model_info.h"

namespace tessera {
namespace {

constexpr size_t kMaxPemBytes = size_t{1} << 20;

template <typename T>
CLI::Option* Add(CLI::App& app, const std::string& name, T& value, const std::string& help) {
  const std::string twin =
      absl::StrCat("TESSERA_", absl::AsciiStrToUpper(absl::StrReplaceAll(name, {{"-", "_"}})));
  return app.add_option("--" + name, value, help)->envname(twin)->capture_default_str();
}

void AddFlags(CLI::App& app, ServerFlags& flags) {
  Add(app, "model", flags.model, "Folder of the FLUX checkpoint (diffusers' layout)");
  Add(app, "device", flags.device, "Of spawned workers; worker I gets cuda:I")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  Add(app, "spawn-workers", flags.spawn_workers, "Worker processes to start and keep")
      ->check(CLI::Range(0, 64));
  Add(app, "group-size", flags.group_size, "Workers that make one image together; 0: all spawned")
      ->check(CLI::Range(0, 64));
  Add(app, "min-ranks", flags.min_ranks,
      "Workers that will do after a lasting loss, until others come; 0: none may be missing")
      ->check(CLI::Range(0, 64));
  Add(app, "regroup-wait", flags.regroup_wait_s,
      "Seconds to wait for missing workers before fewer will do")
      ->check(CLI::Range(0.0, 86400.0));
  Add(app, "max-attempts", flags.max_attempts, "Of a job that is interrupted by lost workers")
      ->check(CLI::Range(1, 100));
  Add(app, "retry-window", flags.retry_window_s,
      "Seconds after its first interruption within which a job may run again")
      ->check(CLI::Range(0.0, 86400.0));
  Add(app, "answer-cache-mb", flags.answer_cache_mb,
      "MiB of pictures kept for calls that come again with their request_id; 0: none")
      ->check(CLI::Range(0, 1 << 20));
  Add(app, "dtype", flags.dtype,
      "Of spawned workers, as a worker's; empty: float32 on cpu, bfloat16 on cuda")
      ->check(CLI::IsMember(DtypeNames()));
  Add(app, "threads", flags.threads, "Of each spawned worker; 0: an equal share of the cores")
      ->check(CLI::Range(0, 1024));
  Add(app, "text-encoder", flags.text_encoder, "Of spawned workers: who encodes prompts")
      ->check(CLI::IsMember({"every-rank", "rank0", "cpu"}));
  Add(app, "job-memory-mb", flags.job_memory_mb,
      "Of each spawned worker, for a job beside the weights; 0: what is left")
      ->check(CLI::Range(0, 1 << 30));
  Add(app, "collectives", flags.collectives,
      "Of spawned workers, between their devices; nccl (on cuda only) has never run yet")
      ->check(CLI::IsMember({"gloo", "nccl"}));
  Add(app, "cuda-path", flags.cuda_path,
      "Of spawned workers, on cuda: aten, or tuned: our kernels, cuBLASLt, step graphs (not run "
      "yet)")
      ->check(CLI::IsMember({"aten", "tuned"}));
  Add(app, "listen", flags.listen, "HOST:PORT for clients; port 0: any");
  Add(app, "worker-listen", flags.worker_listen,
      "HOST:PORT for workers [127.0.0.1:0 when workers are spawned, else 127.0.0.1:50052]");
  Add(app, "token", flags.token, "Secret that workers show; better in a file or the environment");
  Add(app, "token-file", flags.token_file, "File that holds the token");
  Add(app, "tls-cert", flags.tls_cert, "PEM file: certificate chain for clients");
  Add(app, "tls-key", flags.tls_key, "PEM file: private key");
  Add(app, "tls-client-ca", flags.tls_client_ca, "PEM file: clients must show a certificate of it");
  Add(app, "max-queue-length", flags.max_queue_length, "Jobs that may wait")
      ->check(CLI::Range(1, 100'000));
  Add(app, "max-unary-reply-bytes", flags.max_unary_reply_bytes,
      "Largest reply of GenerateImage; clients take 4 MiB by default")
      ->check(CLI::PositiveNumber);
  Add(app, "text-mode", flags.text_mode, "Default of requests")
      ->check(CLI::IsMember({"split", "replicated"}));
  Add(app, "sync-steps", flags.sync_steps, "Default of requests")->check(CLI::Range(1, 1000));
  Add(app, "refresh-every", flags.refresh_every, "Default of requests")->check(CLI::Range(0, 1000));
  Add(app, "port-file", flags.port_file, "File to write the two ports to, once they listen");
  Add(app, "log-level", flags.log_level, "Prompts are logged only at debug")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
}

absl::Status CheckTogether(const ServerFlags& flags) {
  std::string problems;
  const auto require = [&](bool holds, const char* problem) {
    if (!holds) absl::StrAppend(&problems, problems.empty() ? "" : "; ", problem);
  };
  const bool spawns = flags.spawn_workers > 0;
  require(spawns || flags.group_size > 0,
          "give --spawn-workers N, or --group-size N for workers that dial in");
  require(!spawns || !flags.model.empty(), "--spawn-workers needs --model");
  require(!spawns || flags.collectives == "gloo" || flags.device == "cuda",
          "--collectives nccl needs --device cuda");
  require(!spawns || flags.cuda_path == "aten" || flags.device == "cuda",
          "--cuda-path tuned needs --device cuda");
  require(!spawns || flags.group_size <= flags.spawn_workers || !flags.worker_listen.empty(),
          "--group-size above --spawn-workers needs --worker-listen for the others");
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
  TlsOptions tls;
  TESSERA_ASSIGN_OR_RETURN(tls.certificate_chain, ReadFile(flags.tls_cert, kMaxPemBytes));
  TESSERA_ASSIGN_OR_RETURN(tls.private_key, ReadFile(flags.tls_key, kMaxPemBytes));
  if (!flags.tls_client_ca.empty()) {
    TESSERA_ASSIGN_OR_RETURN(tls.client_ca, ReadFile(flags.tls_client_ca, kMaxPemBytes));
  }
  return tls;
}

}  // namespace

absl::StatusOr<ServerFlags> ParseServerFlags(int argc, const char* const* argv) {
  ServerFlags flags;
  CLI::App app("tessera-server: FLUX text-to-image over gRPC", "tessera-server");
  app.set_version_flag("--version", TESSERA_VERSION);
  app.footer("Every flag --some-name can be given as the environment variable TESSERA_SOME_NAME.");
  AddFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
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
  if (host == "0.0.0.0" || host == "[::]" || host.empty()) host = "127.0.0.1";
  return {.count = flags.spawn_workers,
          .server = absl::StrCat(host, ":", worker_port),
          .token = token,
          .model_dir = flags.model,
          .device = flags.device,
          .dtype = flags.dtype,
          .threads = flags.threads,
          .text_encoder = flags.text_encoder,
          .job_memory_mb = flags.job_memory_mb,
          .collectives = flags.collectives,
          .cuda_path = flags.cuda_path,
          .log_level = flags.log_level};
}

}  // namespace tessera
