#pragma once

#include <span>
#include <vector>

#include "worker/bench/steady_step.h"

namespace tessera {

// The compute of N ranks' steady steps on one device, each chunk's alone: medians over the rounds.
struct EmulatedRanks {
  int ranks = 1;
  double one_rank_ms = 0;        // the whole step, measured in the same rounds
  std::vector<double> chunk_ms;  // of each chunk
  double slowest_ms = 0;         // a group is as fast as its slowest rank
  double mean_ms = 0;
  double speedup = 0;  // one rank's step over the slowest chunk's, median of the rounds' ratios
};

// Measures every chunk of every number of ranks and the one-rank step in turn, `rounds` times after
// one to warm up, each over `steps` steps.
std::vector<EmulatedRanks> EmulateRanks(SteadyStep& step, std::span<const int> ranks, int rounds,
                                        int steps);

}  // namespace tessera
