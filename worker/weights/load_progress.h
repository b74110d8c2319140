#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace tessera {

// How far the loading of one part of a checkpoint has come.
struct LoadProgress {
  std::string part;  // "transformer", "text_encoder_2", ...
  int64_t done_bytes = 0;
  int64_t total_bytes = 0;  // of the stored tensors, those that will be ignored included
  double elapsed_s = 0;
};

// Called on the loading thread.
using LoadProgressCallback = std::function<void(const LoadProgress&)>;

// Counts bytes and calls back now and then. Owned by one thread.
class LoadMeter {
 public:
  // At most one call for every `interval_s`.
  LoadMeter(std::string part, int64_t total_bytes, LoadProgressCallback callback,
            double interval_s = 1)
      : progress_{.part = std::move(part), .total_bytes = total_bytes},
        callback_(std::move(callback)),
        interval_(interval_s) {}

  void Add(int64_t bytes) {
    progress_.done_bytes += bytes;
    const auto now = Clock::now();
    if (!callback_ || now - last_call_ < interval_) return;
    last_call_ = now;
    progress_.elapsed_s = std::chrono::duration<double>(now - begin_).count();
    callback_(progress_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  LoadProgress progress_;
  const LoadProgressCallback callback_;
  const std::chrono::duration<double> interval_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point last_call_ = begin_;
};

}  // namespace tessera
