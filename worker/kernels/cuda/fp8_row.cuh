#pragma once

#include <cuda_fp8.h>

#include "worker/kernels/cuda/block_row.cuh"

namespace tessera::cuda {

// kLanes neighbouring FP8 values, moved by one access.
template <int kLanes>
struct alignas(kLanes) Fp8Pack {
  __nv_fp8_storage_t lanes[kLanes];
};

// The largest magnitude of a row, on all threads; NaN if it holds one.
template <typename Row>
__device__ float LargestOf(const Row& row) {
  // Without their sign floats are in the order of their bits, NaN above infinity.
  unsigned largest = 0;
  row.ForEach([&](int64_t, const typename Row::Packed& pack) {
#pragma unroll
    for (int i = 0; i < Row::Packed::kSize; ++i) {
      largest = max(largest, __float_as_uint(fabsf(pack[i])));
    }
  });
  return __uint_as_float(BlockReduce(largest, [](unsigned a, unsigned b) { return max(a, b); }));
}

// Writes the row that this block computes, `width` wide, and its scale. Every thread takes part.
template <typename Row>
__device__ void WriteFp8(const Row& row, int64_t width, const Fp8Matrix& y) {
  constexpr int kLanes = Row::Packed::kSize;
  constexpr float kLargest = 448;                 // of E4M3
  constexpr float kLeastScale = 1.17549435e-38F;  // the smallest normal number
  const float quotient = __fdiv_rn(LargestOf(row), kLargest);
  const float scale = quotient < kLeastScale ? kLeastScale : quotient;  // NaN stays
  if (threadIdx.x == 0) y.scales[blockIdx.x] = scale;
  auto* const out = static_cast<__nv_fp8_storage_t*>(y.values) + blockIdx.x * width;
  row.ForEach([&](int64_t index, const typename Row::Packed& pack) {
    Fp8Pack<kLanes> result;
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      result.lanes[i] = __nv_cvt_float_to_fp8(__fdiv_rn(pack[i], scale), __NV_SATFINITE, __NV_E4M3);
    }
    reinterpret_cast<Fp8Pack<kLanes>*>(out)[index] = result;
  });
}

}  // namespace tessera::cuda
