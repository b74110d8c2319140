#include "worker/kernels/cuda/fp8_row.cuh"

namespace tessera::cuda {
namespace {

constexpr int kThreads = 256;

// One thread a pack; kLanes divides the width.
template <typename T, int kLanes>
__global__ void DequantizeRowsKernel(int64_t packs, int64_t width, Fp8Matrix x, T* y) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= packs) return;
  const auto in = static_cast<const Fp8Pack<kLanes>*>(x.values)[index];
  const float scale = x.scales[index * kLanes / width];
  Pack<T, kLanes> out;
#pragma unroll
  for (int i = 0; i < kLanes; ++i) {
    const __half value(__nv_cvt_fp8_to_halfraw(in.lanes[i], __NV_E4M3));  // exact
    out.Set(i, __fmul_rn(__half2float(value), scale));
  }
  out.Store(y, index);
}

}  // namespace

cudaError_t DequantizeRows(Element type, int64_t rows, int64_t width, const Fp8Matrix& x, void* y,
                           cudaStream_t stream) {
  const Alignment alignment = Alignment(type).Elements(width).Address(x.values).Address(y);
  return Dispatch<1>(type, alignment, [&](auto element, auto lanes) {
    using T = decltype(element);
    const int64_t packs = rows * width / lanes;
    return Launch(DequantizeRowsKernel<T, lanes>, (packs + kThreads - 1) / kThreads, kThreads,
                  stream, packs, width, x, static_cast<T*>(y));
  });
}

}  // namespace tessera::cuda
