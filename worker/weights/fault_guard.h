#pragma once

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"

namespace tessera {

// Guards a range of mapped memory for as long as it lives. When a page of it cannot be read (the
// file behind it shrank, or its disk failed) the kernel raises SIGBUS; a guarded range then reads
// as zeros from that page to its end, and faulted() turns true. A SIGBUS elsewhere goes to the
// handler that was installed before the first guard. Thread-safe; the check in the handler takes no
// lock. Threads that compute need a stack of their own for the handler (signal_stack.h).
class FaultGuard {
 public:
  // `begin` is page-aligned. RESOURCE_EXHAUSTED when more ranges are guarded than the process-wide
  // table holds.
  static absl::StatusOr<FaultGuard> Protect(const void* begin, size_t size);
  FaultGuard(FaultGuard&& other) noexcept : slot_(std::exchange(other.slot_, -1)) {}
  FaultGuard& operator=(FaultGuard&& other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
  }
  ~FaultGuard();

  bool faulted() const;

 private:
  explicit FaultGuard(int slot) : slot_(slot) {}
  int slot_ = -1;
};

}  // namespace tessera
