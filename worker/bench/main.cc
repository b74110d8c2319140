#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "worker/bench/bench_options.h"
#include "worker/bench/bench_report.h"
#include "worker/bench/bench_run.h"
#include "worker/pipeline/process_memory.h"
#include "worker/tensor_io/safetensors_writer.h"

namespace tessera {
namespace {

int Main(int argc, char** argv) {
  const BenchOptions options = ParseBenchOptions(argc, argv);
  KeepFreedMemory();
  const absl::StatusOr<std::unique_ptr<BenchSubject>> subject = BenchSubject::Load(options);
  if (!subject.ok()) {
    std::fprintf(stderr, "tessera-bench: %s\n", subject.status().ToString().c_str());
    return 1;
  }
  std::vector<std::vector<BenchRun>> runs(options.ranks.size());
  for (int round = 0; round <= options.rounds; ++round) {  // the first warms up
    for (size_t i = 0; i < options.ranks.size(); ++i) {
      absl::StatusOr<BenchRun> run = (*subject)->Run(options.ranks[i]);
      if (!run.ok()) {
        std::fprintf(stderr, "\ntessera-bench: %s\n", run.status().ToString().c_str());
        return 1;
      }
      std::fprintf(stderr, "\rround %d of %d, %d ranks: %.2f s ", round, options.rounds,
                   options.ranks[i], run->times.denoise_s);
      if (round > 0) runs[i].push_back(*std::move(run));
    }
  }
  std::fprintf(stderr, "\n");

  const FluxConfig& config = (*subject)->config();
  const std::vector<BenchFigures> figures = Summarise(options, config, runs);
  std::printf("%s", Table(options, config, figures).c_str());
  if (!options.latents_path.empty()) {
    const absl::Status written = WriteSafetensors(
        options.latents_path, {{"latents", runs[0].back().latents.cpu().contiguous()}});
    if (!written.ok()) {
      std::fprintf(stderr, "tessera-bench: %s\n", written.ToString().c_str());
      return 1;
    }
  }
  if (options.json_path.empty()) return 0;
  std::ofstream file(options.json_path);
  file << Json(options, config, figures).dump(2) << "\n";
  if (!file.flush()) {
    std::fprintf(stderr, "tessera-bench: cannot write %s\n", options.json_path.c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) { return tessera::Main(argc, argv); }
