#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

namespace tessera {

// Waits between tries: first_s, doubled with each try up to max_s, each times a random factor
// between 0.8 and 1.2, so that those who failed together do not come back together.
class Backoff {
 public:
  Backoff(double first_s, double max_s, uint64_t seed)
      : first_s_(first_s), max_s_(max_s), next_s_(first_s), random_(seed) {}

  double NextS() {
    const double wait_s = next_s_ * std::uniform_real_distribution<double>(0.8, 1.2)(random_);
    next_s_ = std::min(2 * next_s_, max_s_);
    return wait_s;
  }

  void Reset() { next_s_ = first_s_; }

 private:
  const double first_s_;
  const double max_s_;
  double next_s_;
  std::mt19937_64 random_;
};

}  // namespace tessera
