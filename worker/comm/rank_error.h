#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tessera {

// The words in which every communicator blames a rank, so that all ranks of a group return the same
// Status.

struct RankFailure {
  int rank = 0;
  std::string reason;  // what the rank reported of itself, as Status::ToString() gives it
};

// ABORTED: the ranks reported errors of their own. `failures` in rank order, not empty.
absl::Status RanksFailedError(std::span<const RankFailure> failures);
absl::Status RankFailedError(int rank, const absl::Status& reason);

// UNAVAILABLE: the ranks died, hung or lost their connections. `ranks` in rank order, not empty;
// `how` says how that was noticed.
absl::Status RanksLostError(std::span<const int> ranks, const std::string& how);

}  // namespace tessera
