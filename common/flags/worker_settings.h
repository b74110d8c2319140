#pragma once

#include <string>
#include <variant>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace tessera {

// How a worker computes. tessera-worker takes these settings on its command line; tessera-server
// and `tessera-worker --devices` take the same ones and hand them to the workers that they start.
struct WorkerSettings {
  // The choices that have a name in code, of text_encoder, of collectives and of cuda_path.
  static constexpr char kEveryRank[] = "every-rank";
  static constexpr char kRank0[] = "rank0";
  static constexpr char kCpu[] = "cpu";
  static constexpr char kGloo[] = "gloo";
  static constexpr char kNccl[] = "nccl";
  static constexpr char kAten[] = "aten";
  static constexpr char kTuned[] = "tuned";

  std::string dtype;  // empty: float32 on cpu, bfloat16 on cuda
  int threads = 0;    // 0: all cores
  std::string text_encoder = kEveryRank;
  int job_memory_mb = 0;  // beside the weights; 0: what is left of them
  std::string collectives = kGloo;
  std::string cuda_path = kAten;
  std::string weight_cache;  // empty: see WeightOptions::cache_dir
  std::string log_level = "info";
};

// One setting: the field of WorkerSettings, its flag and what the flag takes.
struct WorkerSetting {
  std::string flag;
  std::variant<std::string WorkerSettings::*, int WorkerSettings::*> field;
  std::vector<std::string> choices;  // of a text; empty: any text
  int max = 0;                       // of a number, which is at least 0
  std::string help;
};

// A row for every field.
const std::vector<WorkerSetting>& WorkerSettingTable();

// Adds all flags of the table, under the heading `group` of --help.
void AddWorkerSettings(CLI::App& app, WorkerSettings& settings, const std::string& group);

// Adds one of them, by its name with the dashes.
CLI::Option* AddWorkerSetting(CLI::App& app, WorkerSettings& settings, const std::string& flag);

// The arguments that give a worker these settings, whatever its environment says.
std::vector<std::string> ArgumentsOf(const WorkerSettings& settings);

// The largest K of cuda:K.
inline constexpr int kMaxDeviceIndex = 127;

// Adds --device, for one device: cpu, cuda or cuda:K.
CLI::Option* AddDevice(CLI::App& app, std::string& device);

}  // namespace tessera
