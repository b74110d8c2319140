#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "worker/kernels/cuda/cuda_kernels.h"
#include "worker/kernels/cuda/element.cuh"
#include "worker/kernels/cuda/launch_kernel.cuh"

namespace tessera::cuda {

constexpr int kWarp = 32;
constexpr int kMaxThreads = 1024;

// Threads that take `items` of a row between them: whole warps.
inline int ThreadsFor(int64_t items) {
  const int64_t warps = (items + kWarp - 1) / kWarp;
  return static_cast<int>(std::clamp<int64_t>(warps * kWarp, kWarp, kMaxThreads));
}

template <typename... Parameters, typename... Arguments>
LaunchError Launch(void (*kernel)(Parameters...), int64_t blocks, int threads, Stream stream,
                   const Arguments&... arguments) {
  if (blocks == 0) return nullptr;
  const cudaError_t error = LaunchKernel(kernel, blocks, threads, stream, arguments...);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

// What has to lie on multiples of 16 bytes for a kernel to use wide accesses.
class Alignment {
 public:
  explicit Alignment(Element type) : element_size_(type == Element::kFloat32 ? 4 : 2) {}

  Alignment& Address(const void* address) {
    bits_ |= reinterpret_cast<uintptr_t>(address);
    return *this;
  }
  Alignment& Elements(int64_t count) {
    bits_ |= static_cast<uintptr_t>(count * element_size_);
    return *this;
  }
  template <typename AnyRows>
  Alignment& RowsOf(const AnyRows& rows) {
    return Address(rows.data).Elements(rows.batch_stride).Elements(rows.row_stride);
  }
  Alignment& VectorsOf(const Vectors& vectors) {
    return Address(vectors.data).Elements(vectors.batch_stride);
  }
  bool wide() const { return bits_ % 16 == 0; }

 private:
  const int64_t element_size_;
  uintptr_t bits_ = 0;
};

// Calls f(T{}, lanes), where the second is a std::integral_constant: kWideLanes<T> or kNarrowLanes.
template <int kNarrowLanes, typename F>
LaunchError Dispatch(Element type, const Alignment& alignment, const F& f) {
  const auto with = [&](auto element) {
    using T = decltype(element);
    return alignment.wide() ? f(element, std::integral_constant<int, kWideLanes<T>>())
                            : f(element, std::integral_constant<int, kNarrowLanes>());
  };
  switch (type) {
    case Element::kFloat32:
      return with(float());
    case Element::kBFloat16:
      return with(__nv_bfloat16());
    case Element::kFloat16:
      return with(__half());
  }
  return "no such element type";
}

// The row of `rows` that this block computes; blocks are numbered batch item by batch item.
template <typename T>
__device__ inline const T* RowOf(const ConstRows& rows, int64_t batch, int64_t row) {
  return static_cast<const T*>(rows.data) + batch * rows.batch_stride + row * rows.row_stride;
}
template <typename T>
__device__ inline T* RowOf(const Rows& rows, int64_t batch, int64_t row) {
  return static_cast<T*>(rows.data) + batch * rows.batch_stride + row * rows.row_stride;
}
template <typename T>
__device__ inline const T* VectorOf(const Vectors& vectors, int64_t batch) {
  return static_cast<const T*>(vectors.data) + batch * vectors.batch_stride;
}

}  // namespace tessera::cuda
