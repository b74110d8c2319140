#include "worker/kernels/cuda/fp8_row.cuh"
#include "worker/kernels/cuda/gelu.cuh"

namespace tessera::cuda {
namespace {

// The packs of [head | gelu(tail)].
template <typename T, int kLanes>
struct JoinedPacks {
  using Packed = Pack<T, kLanes>;
  const T* head;
  const T* tail;
  int64_t head_packs;

  __device__ Packed operator()(int64_t index) const {
    if (index < head_packs) return Packed::Load(head, index);
    Packed pack = Packed::Load(tail, index - head_packs);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) pack.Set(i, Gelu(pack[i]));
    return pack;
  }
};

template <typename T, int kLanes>
__global__ void __launch_bounds__(kMaxThreads)
    QuantizeRowsKernel(int64_t rows, RowParts x, Fp8Matrix y) {
  const int64_t batch = blockIdx.x / rows, row = blockIdx.x % rows;
  const int64_t width = x.head_width + x.tail_width;
  const JoinedPacks<T, kLanes> packs = {RowOf<T>(x.head, batch, row), RowOf<T>(x.tail, batch, row),
                                        x.head_width / kLanes};
  WriteFp8(BlockRow<JoinedPacks<T, kLanes>>(packs, width / kLanes), width, y);
}

constexpr int kThreads = 256;  // of a block that dequantises

// Dequantises: one thread a pack; kLanes divides the width.
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

LaunchError QuantizeRows(Element type, int64_t batch, int64_t rows, const RowParts& x,
                         const Fp8Matrix& y, Stream stream) {
  const Alignment alignment = Alignment(type)
                                  .Elements(x.head_width)
                                  .Elements(x.tail_width)
                                  .RowsOf(x.head)
                                  .RowsOf(x.tail)
                                  .Address(y.values);
  return Dispatch<1>(type, alignment, [&](auto element, auto lanes) {
    return Launch(QuantizeRowsKernel<decltype(element), lanes>, batch * rows,
                  ThreadsForRow((x.head_width + x.tail_width) / lanes), stream, rows, x, y);
  });
}

LaunchError DequantizeRows(Element type, int64_t rows, int64_t width, const Fp8Matrix& x, void* y,
                           Stream stream) {
  const Alignment alignment = Alignment(type).Elements(width).Address(x.values).Address(y);
  return Dispatch<1>(type, alignment, [&](auto element, auto lanes) {
    using T = decltype(element);
    const int64_t packs = rows * width / lanes;
    return Launch(DequantizeRowsKernel<T, lanes>, (packs + kThreads - 1) / kThreads, kThreads,
                  stream, packs, width, x, static_cast<T*>(y));
  });
}

}  // namespace tessera::cuda
