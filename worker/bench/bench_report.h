#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "worker/bench/bench_figures.h"
#include "worker/bench/bench_options.h"
#include "worker/bench/emulated_ranks.h"
#include "worker/bench/step_profile.h"

namespace tessera {

// All that tessera-bench found out.
struct BenchReport {
  std::vector<BenchFigures> figures;
  PeakMemory memory;  // of the runs behind `figures`
  std::vector<EmulatedRanks> emulated;
  std::vector<StepProfile> profiles;
};

std::string Table(const BenchOptions& options, const FluxConfig& config, const BenchReport& report);
nlohmann::json Json(const BenchOptions& options, const FluxConfig& config,
                    const BenchReport& report);

}  // namespace tessera
