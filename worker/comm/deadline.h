#pragma once

#include <algorithm>
#include <chrono>

namespace tessera {

using Deadline = std::chrono::steady_clock::time_point;

inline Deadline DeadlineIn(double seconds) {
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<Deadline::duration>(std::chrono::duration<double>(seconds));
}

// At least 1 ms: c10d and Gloo take zero for "no limit".
inline std::chrono::milliseconds TimeLeft(Deadline deadline) {
  const auto left = deadline - std::chrono::steady_clock::now();
  return std::max(std::chrono::milliseconds(1), std::chrono::ceil<std::chrono::milliseconds>(left));
}

}  // namespace tessera
