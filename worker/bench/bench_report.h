#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "worker/bench/bench_options.h"
#include "worker/bench/bench_run.h"

namespace tessera {

double Median(std::vector<double> values);

// The figures of one number of ranks: medians over the counted rounds.
struct BenchFigures {
  int ranks = 1;
  double sync_step_ms = 0;   // 0 where there is no such step
  double stale_step_ms = 0;  // steady: the first stale step is left out when there are others
  double text_encode_ms = 0, denoise_ms = 0, decode_ms = 0, png_ms = 0;
  double gflops = 0;           // of all ranks together, over a steady step
  double gemm_ms = 0;          // what one rank's GEMMs of a steady step take alone
  double gemm_share = 0;       // gemm_ms over the steady step
  int64_t bytes_received = 0;  // by rank 0 over the run
  double psnr_db = 0;          // of the latents against the first number of ranks; 0: the very same
  // Steady step of the first number of ranks over this one, median over rounds of the ratio within
  // a round.
  double speedup = 1;
  double steady_ms() const { return stale_step_ms > 0 ? stale_step_ms : sync_step_ms; }
};

// runs[i] are the rounds of options.ranks[i].
std::vector<BenchFigures> Summarise(const BenchOptions& options, const FluxConfig& config,
                                    const std::vector<std::vector<BenchRun>>& runs);

std::string Table(const BenchOptions& options, const FluxConfig& config,
                  const std::vector<BenchFigures>& figures);
nlohmann::json Json(const BenchOptions& options, const FluxConfig& config,
                    const std::vector<BenchFigures>& figures);

}  // namespace tessera
