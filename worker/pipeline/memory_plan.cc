#include "worker/pipeline/memory_plan.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/base/status_exception.h"
#include "worker/pipeline/available_memory.h"

namespace tessera {
namespace {

// The rest is for allocators' gaps, the cache of prompts and other processes.
constexpr double kUsable = 0.9;

}  // namespace

JobMemory MeasureJobMemory(const MemoryCosts& costs, const LoadedRank& rank) {
  if (rank.given_for_jobs > 0) return {costs, rank.given_for_jobs, /*shared=*/false};
  const int64_t free = AvailableBytes(rank.device);
  const bool on_host = rank.device.is_cpu();
  const int64_t left =
      std::max<int64_t>(0, on_host ? free - rank.weight_bytes : free + rank.encoder_bytes);
  return {costs, static_cast<int64_t>(kUsable * static_cast<double>(left)), /*shared=*/on_host};
}

MemoryNeed PlanJob(const JobSize& size, const JobMemory& mine, Communicator& communicator) {
  const absl::StatusOr<std::vector<int64_t>> available = communicator.Vote(mine.available);
  ThrowIfError(available.status());
  JobMemory least = mine;
  least.available = *std::min_element(available->begin(), available->end());
  const absl::Status fits = CheckFits(size, least);
  if (!fits.ok()) throw StatusException(absl::OutOfRangeError(std::string(fits.message())));
  return NeedOf(size, mine.costs);
}

}  // namespace tessera
