#include "common/flags/worker_settings.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/flags/strict_flags.h"
#include "common/model/dtype_names.h"

namespace tessera {
namespace {

CLI::Option* AddRow(CLI::App& app, WorkerSettings& settings, const WorkerSetting& row) {
  if (const auto* const number = std::get_if<int WorkerSettings::*>(&row.field)) {
    return app.add_option(row.flag, settings.*(*number), row.help)
        ->transform(NumberIn<int>(0, row.max));
  }
  std::string& text = settings.*std::get<std::string WorkerSettings::*>(row.field);
  CLI::Option* const option = app.add_option(row.flag, text, row.help);
  return row.choices.empty() ? option : option->check(CLI::IsMember(row.choices));
}

// Empty for the name of a device, else what is wrong.
std::string CheckDevice(const std::string& text) {
  if (text == "cpu" || text == "cuda") return "";
  if (absl::StartsWith(text, "cuda:") &&
      ParseNumberIn(text.substr(5), 0, kMaxDeviceIndex).has_value())
    return "";
  return absl::StrCat("must be cpu, cuda or cuda:K with K in [0, ", kMaxDeviceIndex, "], is \"",
                      text, "\"");
}

}  // namespace

const std::vector<WorkerSetting>& WorkerSettingTable() {
  using Settings = WorkerSettings;
  static const std::vector<WorkerSetting> table = {
      {.flag = "--dtype",
       .field = &Settings::dtype,
       .choices = DtypeNames(),
       .help = "The type in which a worker computes. Without this flag it is float32 on a CPU and "
               "bfloat16 on a GPU. +fp8 keeps the large linear layers in FP8, and +fp8kv the "
               "cached keys and values."},
      {.flag = "--threads",
       .field = &Settings::threads,
       .max = 1024,
       .help =
           "How many CPU threads a worker uses. 0 means all cores; workers that a server starts "
           "on the CPU share the cores equally."},
      {.flag = "--text-encoder",
       .field = &Settings::text_encoder,
       .choices = {Settings::kEveryRank, Settings::kRank0, Settings::kCpu},
       .help = "Who encodes prompts: every rank for itself, rank 0 for all ranks, or rank 0 on its "
               "host's CPU. All workers of a group need the same choice."},
      {.flag = "--job-memory-mb",
       .field = &Settings::job_memory_mb,
       .max = 1 << 30,
       .help =
           "How many MiB a job may take in a worker beside the weights. 0 means the memory that "
           "the weights leave; on a CPU the ranks share that memory."},
      {.flag = "--collectives",
       .field = &Settings::collectives,
       .choices = {Settings::kGloo, Settings::kNccl},
       .help = "What carries tensors between the ranks. nccl needs GPUs and has never run yet. All "
               "workers of a group need the same choice."},
      {.flag = "--cuda-path",
       .field = &Settings::cuda_path,
       .choices = {Settings::kAten, Settings::kTuned},
       .help = "What computes on a GPU. tuned means Tessera's own kernels, cuBLASLt and step "
               "graphs, and has never run yet. All workers of a group need the same choice."},
      {.flag = "--weight-cache",
       .field = &Settings::weight_cache,
       .help =
           "The folder that keeps weights converted to --dtype. All workers of a host can share "
           "the folder."},
      {.flag = "--log-level",
       .field = &Settings::log_level,
       .choices = {"debug", "info", "warning", "error"},
       .help = "How much is logged. Prompts are logged at debug only."},
  };
  return table;
}

void AddWorkerSettings(CLI::App& app, WorkerSettings& settings, const std::string& group) {
  for (const WorkerSetting& row : WorkerSettingTable()) AddRow(app, settings, row)->group(group);
}

CLI::Option* AddWorkerSetting(CLI::App& app, WorkerSettings& settings, const std::string& flag) {
  const std::vector<WorkerSetting>& table = WorkerSettingTable();
  const auto row = std::find_if(table.begin(), table.end(),
                                [&](const WorkerSetting& setting) { return setting.flag == flag; });
  Check(row != table.end(), "a program adds settings of the table only");
  return AddRow(app, settings, *row);
}

std::vector<std::string> ArgumentsOf(const WorkerSettings& settings) {
  std::vector<std::string> arguments;
  for (const WorkerSetting& row : WorkerSettingTable()) {
    const std::string value =
        std::visit([&](const auto field) { return absl::StrCat(settings.*field); }, row.field);
    arguments.push_back(absl::StrCat(row.flag, "=", value));
  }
  return arguments;
}

CLI::Option* AddDevice(CLI::App& app, std::string& device) {
  return app.add_option("--device", device, "The device that computes. cuda means cuda:0.")
      ->check(CLI::Validator(CheckDevice, "cpu|cuda|cuda:K"));
}

}  // namespace tessera
