#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime_api.h>

#include <barrier>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

// Kernels by a C++ compiler, on host memory: a thread for each thread of a block, blocks one after
// another. What a kernel computes, where it reads and writes, and that its threads meet where they
// have to (ThreadSanitizer sees races) can be tested without a GPU; how a GPU rounds rsqrt and
// tanh, and its speed, cannot. Stands in for worker/kernels/cuda/launch_kernel.cuh and is included
// before all else. One launch at a time.
namespace tessera::cuda::emulated {

constexpr int kWarp = 32;

struct Index {
  unsigned x = 0;
};
inline thread_local Index thread_index, block_index, block_size;

class Block {
 public:
  explicit Block(int threads) : all_(threads), lanes_(threads) {
    for (int i = 0; i < threads; i += kWarp) {
      warps_.push_back(std::make_unique<std::barrier<>>(kWarp));
    }
  }
  void Meet() { all_.arrive_and_wait(); }
  template <typename T>
  T ShuffleXor(T x, int mask) {
    static_assert(sizeof(T) == sizeof(uint32_t));
    std::barrier<>& warp = *warps_[thread_index.x / kWarp];
    lanes_[thread_index.x] = std::bit_cast<uint32_t>(x);
    warp.arrive_and_wait();
    const uint32_t other = lanes_[thread_index.x ^ static_cast<unsigned>(mask)];
    warp.arrive_and_wait();  // all have read
    return std::bit_cast<T>(other);
  }

 private:
  std::barrier<> all_;
  std::vector<std::unique_ptr<std::barrier<>>> warps_;
  std::vector<uint32_t> lanes_;
};
inline Block* current = nullptr;

inline void Run(int64_t blocks, int threads, const std::function<void()>& kernel) {
  Block block(threads);
  current = &block;
  std::vector<std::jthread> all;
  for (int thread = 0; thread < threads; ++thread) {
    all.emplace_back([&, thread] {
      thread_index.x = static_cast<unsigned>(thread);
      block_size.x = static_cast<unsigned>(threads);
      for (int64_t i = 0; i < blocks; ++i) {
        block_index.x = static_cast<unsigned>(i);
        kernel();
        block.Meet();
      }
    });
  }
}

}  // namespace tessera::cuda::emulated

namespace tessera::cuda {

template <typename... Parameters, typename... Arguments>
cudaError_t LaunchKernel(void (*kernel)(Parameters...), int64_t blocks, int threads,
                         cudaStream_t /*stream*/, const Arguments&... arguments) {
  emulated::Run(blocks, threads, [&] { kernel(arguments...); });
  return cudaSuccess;
}

}  // namespace tessera::cuda

#undef __shared__
#undef __launch_bounds__
#define __shared__ static
#define __launch_bounds__(...)
#define threadIdx tessera::cuda::emulated::thread_index
#define blockIdx tessera::cuda::emulated::block_index
#define blockDim tessera::cuda::emulated::block_size
#define __syncthreads() tessera::cuda::emulated::current->Meet()
#define __shfl_xor_sync(mask, x, lane_mask) \
  tessera::cuda::emulated::current->ShuffleXor(x, lane_mask)
#define __fadd_rn(a, b) ((a) + (b))
#define __fmul_rn(a, b) ((a) * (b))
#define __fdiv_rn(a, b) ((a) / (b))
#define __float_as_uint(x) std::bit_cast<unsigned>(x)
#define __uint_as_float(x) std::bit_cast<float>(x)
#define rsqrtf(x) (1.0F / std::sqrt(x))

inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
