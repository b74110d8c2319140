#include <ATen/ATen.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/base/status_macros.h"
#include "worker/bench/bench_options.h"
#include "worker/bench/bench_report.h"
#include "worker/bench/bench_run.h"
#include "worker/pipeline/process_memory.h"
#include "worker/weights/safetensors_writer.h"

namespace tessera {
namespace {

// runs[i] are the counted rounds of options.ranks[i].
using Runs = std::vector<std::vector<BenchRun>>;

absl::StatusOr<Runs> RunAll(const BenchOptions& options, BenchSubject& subject) {
  Runs runs(options.ranks.size());
  for (int round = 0; round <= options.rounds; ++round) {  // the first warms up
    for (size_t i = 0; i < options.ranks.size(); ++i) {
      TESSERA_ASSIGN_OR_RETURN(BenchRun run, subject.Run(options.ranks[i]));
      std::fprintf(stderr, "\rround %d of %d, %d ranks: %.2f s ", round, options.rounds,
                   options.ranks[i], run.times.denoise_s);
      if (round > 0) runs[i].push_back(std::move(run));
    }
  }
  std::fprintf(stderr, "\n");
  return runs;
}

BenchReport Report(const BenchOptions& options, BenchSubject& subject, const Runs& runs) {
  const c10::InferenceMode inference;
  BenchReport report = {.memory = MeasurePeakMemory(subject.device())};
  report.figures = Summarise(options, subject.config(), runs);
  if (options.emulate_ranks.empty() && !options.profile) return report;
  SteadyStep step = subject.MakeSteadyStep();
  const int steps = options.request.num_inference_steps;
  report.emulated = EmulateRanks(step, options.emulate_ranks, options.rounds, steps);
  if (!options.profile) return report;
  report.profiles.push_back(ProfileStep(step, 1, steps));
  for (const int ranks : options.emulate_ranks) {
    if (ranks > 1) report.profiles.push_back(ProfileStep(step, ranks, steps));
  }
  return report;
}

absl::Status Measure(const BenchOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(const std::unique_ptr<BenchSubject> subject,
                           BenchSubject::Load(options));
  TESSERA_ASSIGN_OR_RETURN(const Runs runs, RunAll(options, *subject));
  const BenchReport report = Report(options, *subject, runs);
  std::printf("%s", Table(options, subject->config(), report).c_str());
  if (!options.latents_path.empty()) {
    TESSERA_RETURN_IF_ERROR(WriteSafetensors(
        options.latents_path, {{"latents", runs[0].back().latents.cpu().contiguous()}}));
  }
  if (options.json_path.empty()) return absl::OkStatus();
  std::ofstream file(options.json_path);
  file << Json(options, subject->config(), report).dump(2) << "\n";
  if (!file.flush()) return absl::UnavailableError("cannot write " + options.json_path);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  const BenchOptions options = ParseBenchOptions(argc, argv);
  KeepFreedMemory();
  const absl::Status status = Measure(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "tessera-bench: %s\n", status.ToString().c_str());
  return 1;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) { return tessera::Main(argc, argv); }
