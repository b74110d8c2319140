#pragma once

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <cstdint>

namespace tessera::testing {

// Counts what tensors, and oneDNN by ATen's means, take on the CPU, on all threads.
class CountingAllocator final : public at::Allocator {
 public:
  static CountingAllocator& Installed() {
    static CountingAllocator& allocator = *new CountingAllocator;  // never destroyed: tensors stay
    return allocator;
  }

  at::DataPtr allocate(size_t bytes) override {
    char* block = static_cast<char*>(base_->raw_allocate(bytes + kHeaderBytes));
    *reinterpret_cast<size_t*>(block) = bytes;
    const int64_t now = live_ += static_cast<int64_t>(bytes);
    for (int64_t peak = peak_; now > peak && !peak_.compare_exchange_weak(peak, now);) {
    }
    char* data = block + kHeaderBytes;
    return {data, data, &Free, at::kCPU};
  }
  at::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    base_->copy_data(to, from, bytes);
  }

  // From now on the peak is counted from what is live.
  void Begin() { peak_ = begin_ = live_.load(); }
  // The most that has been live since, beyond that.
  int64_t peak() const { return peak_ - begin_; }

 private:
  static constexpr size_t kHeaderBytes = 64;  // keeps ATen's alignment; holds the size

  CountingAllocator() { c10::SetCPUAllocator(this, /*priority=*/100); }

  static void Free(void* data) {
    if (data == nullptr) return;
    CountingAllocator& self = Installed();
    char* block = static_cast<char*>(data) - kHeaderBytes;
    self.live_ -= static_cast<int64_t>(*reinterpret_cast<size_t*>(block));
    self.base_->raw_deallocate(block);
  }

  at::Allocator* const base_ = c10::GetCPUAllocator();
  std::atomic<int64_t> live_ = 0, peak_ = 0;
  int64_t begin_ = 0;
};

}  // namespace tessera::testing
