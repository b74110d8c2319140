#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

// What the float32 kernels for the CPU share: loops over raw rows, compiled once per instruction
// set and chosen at load time. The results are the same on all instruction sets, since sums run
// over a fixed number of lanes.

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TESSERA_MULTIVERSION \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TESSERA_MULTIVERSION
#endif

namespace tessera::cpu {

// Partial sums: wide enough for two vectors of the widest instruction set.
constexpr int64_t kLanes = 32;

inline float SumLanes(const float* lanes) {
  float total = 0;
  for (int64_t i = 0; i < kLanes; ++i) total += lanes[i];
  return total;
}

// Row r of batch item b; the row itself is dense.
inline const float* Row(const at::Tensor& t, int64_t b, int64_t r) {
  return t.const_data_ptr<float>() + b * t.stride(0) + r * t.stride(1);
}
inline float* MutableRow(const at::Tensor& t, int64_t b, int64_t r) {
  return t.mutable_data_ptr<float>() + b * t.stride(0) + r * t.stride(1);
}
// The vector of batch item b in a [B or 1, 1, D] tensor.
inline const float* Vector(const at::Tensor& t, int64_t b) {
  return t.const_data_ptr<float>() + (t.size(0) == 1 ? 0 : b * t.stride(0));
}

// Calls f(b, r) for every row of [batch, rows, ...].
template <typename F>
void ForEachRow(int64_t batch, int64_t rows, const F& f) {
  constexpr int64_t kRowsPerTask = 16;
  at::parallel_for(0, batch * rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i / rows, i % rows);
  });
}

}  // namespace tessera::cpu
