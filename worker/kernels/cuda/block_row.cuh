#pragma once

#include "worker/kernels/cuda/launch.cuh"

// A row that one block reads several times.
namespace tessera::cuda {

// Packs of a row that a thread keeps in registers; a longer row's others are read again, from the
// cache.
constexpr int kHeld = 4;

// Threads of a block for a row of `packs`.
inline int ThreadsForRow(int64_t packs) { return ThreadsFor((packs + kHeld - 1) / kHeld); }

// The packs of a row in memory.
template <typename T, int kLanes>
struct StoredPacks {
  using Packed = Pack<T, kLanes>;
  const T* row;
  __device__ Packed operator()(int64_t index) const { return Packed::Load(row, index); }
};

// A row of `packs` packs, pack i being source(i): the same whenever it is made.
template <typename Source>
class BlockRow {
 public:
  using Packed = typename Source::Packed;

  __device__ BlockRow(const Source& source, int64_t packs) : source_(source), packs_(packs) {
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      if (Index(i) < packs_) held_[i] = source_(Index(i));
    }
  }

  // f(index, pack) for each of this thread's packs.
  template <typename F>
  __device__ void ForEach(const F& f) const {
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      if (Index(i) < packs_) f(Index(i), held_[i]);
    }
    for (int64_t index = Index(kHeld); index < packs_; index += blockDim.x) {
      f(index, source_(index));
    }
  }

 private:
  __device__ static int64_t Index(int i) {
    return threadIdx.x + static_cast<int64_t>(i) * blockDim.x;
  }

  const Source source_;
  const int64_t packs_;
  Packed held_[kHeld];
};

// op over the block's threads, on all of them. Every thread takes part.
template <typename X, typename Op>
__device__ X BlockReduce(X x, const Op& op) {
  __shared__ X results[kWarp];
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    x = op(x, __shfl_xor_sync(0xffffffffU, x, mask));
  }
  __syncthreads();  // the results of the call before have been read
  if (threadIdx.x % kWarp == 0) results[threadIdx.x / kWarp] = x;
  __syncthreads();
  X total = results[0];
  for (unsigned warp = 1; warp < blockDim.x / kWarp; ++warp) total = op(total, results[warp]);
  return total;
}

}  // namespace tessera::cuda
