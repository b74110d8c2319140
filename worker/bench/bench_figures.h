#pragma once

#include <cstdint>
#include <vector>

#include "worker/bench/bench_options.h"
#include "worker/bench/bench_run.h"

namespace tessera {

// The figures of one number of ranks: medians over the counted rounds.
struct BenchFigures {
  int ranks = 1;
  double sync_step_ms = 0;   // 0 where there is no such step
  double stale_step_ms = 0;  // steady: the first stale step is left out when there are others
  double text_encode_ms = 0, denoise_ms = 0, decode_ms = 0, png_ms = 0;
  double tflops = 0;             // TFLOP/s of all ranks together, over a steady step
  double large_gemm_tflops = 0;  // of one large GEMM on what the ranks compute on, see gemm_rate.h
  double gemm_ms = 0;            // what one rank's GEMMs of a steady step take alone
  int64_t bytes_received = 0;    // by rank 0 over the run
  double psnr_db = 0;  // of the latents against the first number of ranks; 0: the very same
  // Steady step of the first number of ranks over this one, median over rounds of the ratio within
  // a round.
  double speedup = 1;
  double steady_ms() const { return stale_step_ms > 0 ? stale_step_ms : sync_step_ms; }
  double gemm_share() const { return gemm_ms / steady_ms(); }
  double rate_share() const { return tflops / large_gemm_tflops; }
};

// runs[i] are the rounds of options.ranks[i]. Measures the GEMM rates on the spot.
std::vector<BenchFigures> Summarise(const BenchOptions& options, const FluxConfig& config,
                                    const std::vector<std::vector<BenchRun>>& runs);

// The most there was at once, since the process began.
struct PeakMemory {
  int64_t process_bytes = 0;          // resident
  int64_t device_bytes = 0;           // in ATen's tensors; 0 on the CPU
  int64_t device_reserved_bytes = 0;  // taken from the device by ATen
};
PeakMemory MeasurePeakMemory(at::Device device);

}  // namespace tessera
