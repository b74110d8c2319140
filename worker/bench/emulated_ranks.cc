#include "worker/bench/emulated_ranks.h"

#include <algorithm>
#include <numeric>

#include "worker/bench/median.h"

namespace tessera {
namespace {

// What the rounds measured of one number of ranks.
struct Rounds {
  std::vector<double> one_rank_ms, ratios;
  std::vector<std::vector<double>> chunk_ms;  // [chunk][round]
};

EmulatedRanks Summary(const Rounds& rounds) {
  EmulatedRanks result = {.ranks = static_cast<int>(rounds.chunk_ms.size()),
                          .one_rank_ms = Median(rounds.one_rank_ms),
                          .speedup = Median(rounds.ratios)};
  for (const std::vector<double>& ms : rounds.chunk_ms) result.chunk_ms.push_back(Median(ms));
  result.slowest_ms = *std::max_element(result.chunk_ms.begin(), result.chunk_ms.end());
  result.mean_ms =
      std::accumulate(result.chunk_ms.begin(), result.chunk_ms.end(), 0.0) / result.ranks;
  return result;
}

}  // namespace

std::vector<EmulatedRanks> EmulateRanks(SteadyStep& step, std::span<const int> ranks, int rounds,
                                        int steps) {
  std::vector<Rounds> measured(ranks.size());
  for (int round = 0; round <= rounds; ++round) {
    for (size_t i = 0; i < ranks.size(); ++i) {
      const double one_rank_ms = step.MeasureMs(1, 0, steps);
      std::vector<double> chunk_ms;
      for (int chunk = 0; chunk < ranks[i]; ++chunk) {
        chunk_ms.push_back(step.MeasureMs(ranks[i], chunk, steps));
      }
      if (round == 0) continue;
      Rounds& all = measured[i];
      all.one_rank_ms.push_back(one_rank_ms);
      all.ratios.push_back(one_rank_ms / *std::max_element(chunk_ms.begin(), chunk_ms.end()));
      all.chunk_ms.resize(chunk_ms.size());
      for (size_t chunk = 0; chunk < chunk_ms.size(); ++chunk) {
        all.chunk_ms[chunk].push_back(chunk_ms[chunk]);
      }
    }
  }
  std::vector<EmulatedRanks> results;
  for (const Rounds& all : measured) results.push_back(Summary(all));
  return results;
}

}  // namespace tessera
