#include "worker/link/worker_flags.h"

#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/base/token_file.h"
#include "common/flags/strict_flags.h"

namespace tessera {
namespace {

constexpr int kMaxDevices = 64;

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
  const std::optional<int> first = ParseNumberIn(ends.front(), 0, kMaxDeviceIndex);
  const std::optional<int> last = ParseNumberIn(ends.back(), 0, kMaxDeviceIndex);
  if (!first.has_value() || !last.has_value() || *last < *first || *last - *first >= kMaxDevices) {
    return absl::InvalidArgumentError(
        absl::StrCat("--devices: expected K, A-B, cpu or cuda:K, found \"", part, "\""));
  }
  std::vector<std::string> devices;
  for (int i = *first; i <= *last; ++i) devices.push_back(absl::StrCat("cuda:", i));
  return devices;
}

// The error of an option, in the form that CLI11 expects.
std::vector<std::string> DevicesOrThrow(const std::string& list) {
  absl::StatusOr<std::vector<std::string>> devices = ParseDevices(list);
  if (!devices.ok()) throw CLI::ValidationError(std::string(devices.status().message()));
  return *std::move(devices);
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

void AddWorkerFlags(CLI::App& app, WorkerFlags& flags) {
  app.option_defaults()->always_capture_default();
  app.add_option("--server", flags.server, "The address of the server's listener for workers.")
      ->check(AddressWithPort(1))
      ->required();
  app.add_option("--model", flags.model,
                 "The folder of a FLUX checkpoint in the layout of diffusers.")
      ->check(NotEmpty())
      ->required();
  AddDevice(app, flags.device);
  app.add_option_function<std::string>(
         "--devices", [&flags](const std::string& list) { flags.devices = DevicesOrThrow(list); },
         "Several devices, in place of --device. Each device gets a worker process of its own.")
      ->type_name("0-7|0,2|cpu,cpu");
  app.add_option("--token", flags.token,
                 "The secret that the server asks for. A file or the environment keeps the secret "
                 "out of the list of processes.")
      ->check(NotEmpty());
  app.add_option("--token-file", flags.token_file, "The file that holds the secret.")
      ->check(NotEmpty());
  app.add_option(
      "--advertise", flags.advertise,
      "The address at which other workers reach this worker. Without this flag it is the "
      "address of the interface that reaches the server.");
  app.add_option(
      "--name", flags.name,
      "How the server calls this worker in its log and in its answers. Without this flag it is "
      "host:pid.");
  AddWorkerSettings(app, flags.settings, "Settings");
  AddEnvironmentTwins(app);
  app.add_option(
         "--supervised-index", flags.supervised_index,
         "The place of this worker among those that a server has started. The server sets it.")
      ->transform(NumberIn<int>(0, kMaxDevices - 1))
      ->default_str("");
}

absl::StatusOr<WorkerFlags> ParseWorkerFlags(int argc, const char* const* argv) {
  WorkerFlags flags;
  CLI::App app("Computes pictures on one device, or on several, for a tessera-server.",
               "tessera-worker");
  app.set_version_flag("--version", TESSERA_VERSION);
  app.footer(kEnvironmentFooter);
  AddWorkerFlags(app, flags);
  ParseFlagsOrExit(app, argc, argv);
  // A supervised child has inherited the server's environment, but it has one device.
  if (flags.supervised_index >= 0) flags.devices.clear();
  TESSERA_RETURN_IF_ERROR(ReadToken(flags));
  if (flags.name.empty()) flags.name = DefaultName();
  return flags;
}

std::vector<std::string> ChildArguments(const WorkerFlags& flags, size_t index) {
  std::vector<std::string> arguments = {"--server",
                                        flags.server,
                                        "--model",
                                        flags.model,
                                        "--device",
                                        flags.devices[index],
                                        "--name",
                                        absl::StrCat(flags.name, "/", index),
                                        absl::StrCat("--advertise=", flags.advertise)};
  const std::vector<std::string> settings = ArgumentsOf(flags.settings);
  arguments.insert(arguments.end(), settings.begin(), settings.end());
  return arguments;
}

}  // namespace tessera
