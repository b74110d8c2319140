#include "worker/comm/rank_error.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tessera {

absl::Status RanksFailedError(std::span<const RankFailure> failures) {
  return absl::AbortedError(
      absl::StrJoin(failures, "; ", [](std::string* out, const RankFailure& failure) {
        absl::StrAppend(out, "rank ", failure.rank, " failed: ", failure.reason);
      }));
}

absl::Status RankFailedError(int rank, const absl::Status& reason) {
  const RankFailure failure{rank, reason.ToString()};
  return RanksFailedError({&failure, 1});
}

absl::Status RanksLostError(std::span<const int> ranks, const std::string& how) {
  return absl::UnavailableError(absl::StrCat(ranks.size() == 1 ? "rank " : "ranks ",
                                             absl::StrJoin(ranks, ", "),
                                             ranks.size() == 1 ? " was" : " were", " lost: ", how));
}

}  // namespace tessera
