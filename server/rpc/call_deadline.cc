#include "server/rpc/call_deadline.h"

#include <chrono>

namespace tessera {
namespace {

constexpr int64_t kLongestDeadlineS = int64_t{100} * 365 * 24 * 3600;

}  // namespace

TimePoint DeadlineOf(gpr_timespec deadline, TimePoint now) {
  const gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  if (left.tv_sec > kLongestDeadlineS) return kNever;
  return now + std::chrono::duration_cast<TimePoint::duration>(
                   std::chrono::seconds(left.tv_sec) + std::chrono::nanoseconds(left.tv_nsec));
}

}  // namespace tessera
