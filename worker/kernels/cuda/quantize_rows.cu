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

}  // namespace

cudaError_t QuantizeRows(Element type, int64_t batch, int64_t rows, const RowParts& x,
                         const Fp8Matrix& y, cudaStream_t stream) {
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

}  // namespace tessera::cuda
