#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

// Elements of float32, bfloat16 and float16 rows: loads and stores of several at once, and
// arithmetic in float32 rounded as ATen rounds it.
namespace tessera::cuda {

__device__ inline float ToFloat(float x) { return x; }
__device__ inline float ToFloat(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline float ToFloat(__half x) { return __half2float(x); }

template <typename T>
__device__ inline T FromFloat(float x);
template <>
__device__ inline float FromFloat<float>(float x) {
  return x;
}
template <>
__device__ inline __nv_bfloat16 FromFloat<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}
template <>
__device__ inline __half FromFloat<__half>(float x) {
  return __float2half_rn(x);
}

// What is left of x in a tensor of T.
template <typename T>
__device__ inline float Rounded(float x) {
  return ToFloat(FromFloat<T>(x));
}
// Sum and product of two tensors of T; the intrinsics keep the compiler from fusing them.
template <typename T>
__device__ inline float Add(float a, float b) {
  return Rounded<T>(__fadd_rn(a, b));
}
template <typename T>
__device__ inline float Mul(float a, float b) {
  return Rounded<T>(__fmul_rn(a, b));
}

template <typename T>
constexpr int kWideLanes = 16 / sizeof(T);

// kLanes neighbouring elements in registers; 16 bytes of them are moved by one access, and then lie
// on multiples of 16.
template <typename T, int kLanes>
struct alignas(kLanes == kWideLanes<T> ? 16 : alignof(T)) Pack {
  static constexpr int kSize = kLanes;
  T lanes[kLanes];

  __device__ float operator[](int i) const { return ToFloat(lanes[i]); }
  __device__ void Set(int i, float x) { lanes[i] = FromFloat<T>(x); }

  // Pack number `index` of a row.
  __device__ static Pack Load(const T* row, int64_t index) {
    if constexpr (kLanes == kWideLanes<T>) {
      return reinterpret_cast<const Pack*>(row)[index];
    } else {
      Pack pack;
      for (int i = 0; i < kLanes; ++i) pack.lanes[i] = row[index * kLanes + i];
      return pack;
    }
  }
  __device__ void Store(T* row, int64_t index) const {
    if constexpr (kLanes == kWideLanes<T>) {
      reinterpret_cast<Pack*>(row)[index] = *this;
    } else {
      for (int i = 0; i < kLanes; ++i) row[index * kLanes + i] = lanes[i];
    }
  }
};

}  // namespace tessera::cuda
