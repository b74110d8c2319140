#include "worker/kernels/cuda/launch.cuh"

namespace tessera::cuda {
namespace {

// Packs of a row that a thread keeps in registers over the three passes; a longer row's others are
// read again, from the cache.
constexpr int kHeld = 4;

template <typename T, int kLanes>
class BlockRow {
 public:
  using Packed = Pack<T, kLanes>;

  __device__ BlockRow(const T* row, int64_t width) : row_(row), packs_(width / kLanes) {
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      if (Index(i) < packs_) held_[i] = Packed::Load(row_, Index(i));
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
      f(index, Packed::Load(row_, index));
    }
  }

 private:
  __device__ static int64_t Index(int i) {
    return threadIdx.x + static_cast<int64_t>(i) * blockDim.x;
  }

  const T* const row_;
  const int64_t packs_;
  Packed held_[kHeld];
};

// The sum over the block's threads, on all of them.
__device__ float BlockSum(float x) {
  __shared__ float sums[kWarp];
  for (int mask = kWarp / 2; mask > 0; mask /= 2) x += __shfl_xor_sync(0xffffffffU, x, mask);
  __syncthreads();  // the sums of the call before have been read
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = x;
  __syncthreads();
  float total = 0;
  for (unsigned warp = 0; warp < blockDim.x / kWarp; ++warp) total += sums[warp];
  return total;
}

template <typename T, int kLanes>
__global__ void LayerNormModulateKernel(Extent extent, ConstRows x, Vectors shift, Vectors scale,
                                        float eps, Rows y) {
  const int64_t batch = blockIdx.x / extent.rows, row = blockIdx.x % extent.rows;
  const BlockRow<T, kLanes> in(RowOf<T>(x, batch, row), extent.width);
  const float width = static_cast<float>(extent.width);

  float sum = 0;
  in.ForEach([&](int64_t, const Pack<T, kLanes>& pack) {
#pragma unroll
    for (int i = 0; i < kLanes; ++i) sum += pack[i];
  });
  const float mean = BlockSum(sum) / width;

  float squares = 0;
  in.ForEach([&](int64_t, const Pack<T, kLanes>& pack) {
#pragma unroll
    for (int i = 0; i < kLanes; ++i) squares += (pack[i] - mean) * (pack[i] - mean);
  });
  const float inverse = rsqrtf(BlockSum(squares) / width + eps);

  const T* const shifts = VectorOf<T>(shift, batch);
  const T* const scales = VectorOf<T>(scale, batch);
  T* const out = RowOf<T>(y, batch, row);
  in.ForEach([&](int64_t index, const Pack<T, kLanes>& pack) {
    const auto b = Pack<T, kLanes>::Load(shifts, index);
    const auto s = Pack<T, kLanes>::Load(scales, index);
    Pack<T, kLanes> result;
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      const float norm = Mul<T>(pack[i] - mean, inverse);
      result.Set(i, Add<T>(Mul<T>(norm, Add<T>(1.0F, s[i])), b[i]));
    }
    result.Store(out, index);
  });
}

}  // namespace

cudaError_t LayerNormModulate(Element type, const Extent& extent, const ConstRows& x,
                              const Vectors& shift, const Vectors& scale, float eps, const Rows& y,
                              cudaStream_t stream) {
  const Alignment alignment =
      Alignment(type).Elements(extent.width).RowsOf(x).RowsOf(y).VectorsOf(shift).VectorsOf(scale);
  return Dispatch<1>(type, alignment, [&](auto element, auto lanes) {
    const int threads = ThreadsFor((extent.width / lanes + kHeld - 1) / kHeld);
    return Launch(LayerNormModulateKernel<decltype(element), lanes>, extent.batch * extent.rows,
                  threads, stream, extent, x, shift, scale, eps, y);
  });
}

}  // namespace tessera::cuda
