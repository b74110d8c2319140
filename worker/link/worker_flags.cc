#include "worker/link/worker_flags.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/base/token_file.h"
#include "common/model/dtype_names.h"

namespace tessera {
namespace {

constexpr int kMaxDevices = 64;

template <typename T>
CLI::Option* Add(CLI::App& app, const std::string& name, T& value, const std::string& help) {
  const std::string twin =
      absl::StrCat("TESSERA_", absl::AsciiStrToUpper(absl::StrReplaceAll(name, {{"-", "_"}})));
  return app.add_option("--" + name, value, help)->envname(twin)->capture_default_str();
}

void AddFlags(CLI::App& app, WorkerFlags& flags, std::string& devices) {
  Add(app, "server", flags.server, "HOST:PORT of the server's listener for workers")->required();
  Add(app, "model", flags.model, "Folder of the FLUX checkpoint (diffusers' layout)")->required();
  Add(app, "device", flags.device, "cpu, cuda or cuda:K");
  Add(app, "devices", devices, "Several, as 0-7 or 0,2 or cpu,cpu: a child process for each");
  Add(app, "dtype", flags.dtype,
      "Empty: float32 on cpu, bfloat16 on cuda; +fp8: large layers in FP8; +fp8kv: cached K and V "
      "too")
      ->check(CLI::IsMember(DtypeNames()));
  Add(app, "threads", flags.threads, "CPU threads; 0: all cores")->check(CLI::Range(0, 1024));
  Add(app, "text-encoder", flags.text_encoder,
      "Who encodes prompts: every-rank, rank0 for all, or cpu: rank 0 on its host's processor")
      ->check(CLI::IsMember({"every-rank", "rank0", "cpu"}));
  Add(app, "job-memory-mb", flags.job_memory_mb,
      "MiB that a job may take beside the weights; 0: what is left, on cpu shared by all ranks")
      ->check(CLI::Range(0, 1 << 30));
  Add(app, "collectives", flags.collectives,
      "Between the ranks' devices: gloo, or nccl on cuda (never run yet); all workers the same")
      ->check(CLI::IsMember({"gloo", "nccl"}));
  Add(app, "cuda-path", flags.cuda_path,
      "On cuda: aten, or tuned: our kernels, cuBLASLt, step graphs (not run yet); all workers the "
      "same")
      ->check(CLI::IsMember({"aten", "tuned"}));
  Add(app, "weight-cache", flags.weight_cache, "Folder for converted weights, shared by a host");
  Add(app, "token", flags.token, "The server's secret; better in a file or the environment");
  Add(app, "token-file", flags.token_file, "File that holds the token");
  Add(app, "advertise", flags.advertise,
      "Address at which other workers reach this one [that of the interface to the server]");
  Add(app, "name", flags.name, "In the server's log and information [host:pid]");
  Add(app, "log-level", flags.log_level, "")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_option("--supervised-index", flags.supervised_index, "Given by a server that spawns");
}

absl::Status ReadToken(WorkerFlags& flags) {
  if (!flags.token.empty() || flags.token_file.empty()) return absl::OkStatus();
  TESSERA_ASSIGN_OR_RETURN(flags.token, ReadTokenFile(flags.token_file));
  return absl::OkStatus();
}

std::string DefaultName() {
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  return absl::StrCat(host, ":", getpid());
}

// "cpu" and "cuda:K" by their name, "K" and "A-B" as GPUs.
absl::StatusOr<std::vector<std::string>> ParseDeviceRange(const std::string& part) {
  if (part == "cpu") return std::vector<std::string>{part};
  const std::string numbers(absl::StripPrefix(part, "cuda:"));
  const std::vector<std::string> ends = absl::StrSplit(numbers, absl::MaxSplits('-', 1));
  int first = 0;
  int last = 0;
  if (!absl::SimpleAtoi(ends.front(), &first) || !absl::SimpleAtoi(ends.back(), &last) ||
      first < 0 || last < first || last - first >= kMaxDevices) {
    return absl::InvalidArgumentError(
        absl::StrCat("--devices: expected K, A-B, cpu or cuda:K, found \"", part, "\""));
  }
  std::vector<std::string> devices;
  for (int i = first; i <= last; ++i) devices.push_back(absl::StrCat("cuda:", i));
  return devices;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseDevices(const std::string& list) {
  std::vector<std::string> devices;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(list, ','))) {
    TESSERA_ASSIGN_OR_RETURN(const std::vector<std::string> range, ParseDeviceRange(part));
    devices.insert(devices.end(), range.begin(), range.end());
  }
  if (devices.size() <= kMaxDevices) return devices;
  return absl::InvalidArgumentError(
      absl::StrCat("--devices: at most ", kMaxDevices, ", found ", devices.size()));
}

absl::StatusOr<WorkerFlags> ParseWorkerFlags(int argc, const char* const* argv) {
  WorkerFlags flags;
  std::string devices;
  CLI::App app("tessera-worker: one device (or several) for a tessera-server", "tessera-worker");
  app.set_version_flag("--version", TESSERA_VERSION);
  app.footer("Every flag --some-name can be given as the environment variable TESSERA_SOME_NAME.");
  AddFlags(app, flags, devices);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  // A supervised child has inherited the environment; what it was told is one device.
  if (!devices.empty() && flags.supervised_index < 0) {
    TESSERA_ASSIGN_OR_RETURN(flags.devices, ParseDevices(devices));
  }
  TESSERA_RETURN_IF_ERROR(ReadToken(flags));
  if (flags.name.empty()) flags.name = DefaultName();
  return flags;
}

std::vector<std::string> ChildArguments(const WorkerFlags& flags, size_t index) {
  std::vector<std::string> arguments = {"--server",        flags.server,
                                        "--model",         flags.model,
                                        "--device",        flags.devices[index],
                                        "--threads",       absl::StrCat(flags.threads),
                                        "--log-level",     flags.log_level,
                                        "--name",          absl::StrCat(flags.name, "/", index),
                                        "--text-encoder",  flags.text_encoder,
                                        "--job-memory-mb", absl::StrCat(flags.job_memory_mb),
                                        "--collectives",   flags.collectives,
                                        "--cuda-path",     flags.cuda_path};
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) arguments.insert(arguments.end(), {flag, value});
  };
  add("--dtype", flags.dtype);
  add("--weight-cache", flags.weight_cache);
  add("--advertise", flags.advertise);
  return arguments;
}

}  // namespace tessera
