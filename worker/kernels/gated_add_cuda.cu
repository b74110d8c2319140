#include "worker/kernels/cuda/launch.cuh"

namespace tessera::cuda {
namespace {

template <typename T, int kLanes>
__global__ void GatedAddKernel(Extent extent, Rows x, Vectors gate, ConstRows y) {
  const int64_t batch = blockIdx.x / extent.rows, row = blockIdx.x % extent.rows;
  T* const sum = RowOf<T>(x, batch, row);
  const T* const gates = VectorOf<T>(gate, batch);
  const T* const addend = RowOf<T>(y, batch, row);
  for (int64_t index = threadIdx.x; index < extent.width / kLanes; index += blockDim.x) {
    auto a = Pack<T, kLanes>::Load(sum, index);
    const auto g = Pack<T, kLanes>::Load(gates, index);
    const auto b = Pack<T, kLanes>::Load(addend, index);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) a.Set(i, Add<T>(a[i], Mul<T>(g[i], b[i])));
    a.Store(sum, index);
  }
}

}  // namespace

LaunchError GatedAdd(Element type, const Extent& extent, const Rows& x, const Vectors& gate,
                     const ConstRows& y, Stream stream) {
  const Alignment alignment =
      Alignment(type).Elements(extent.width).RowsOf(x).RowsOf(y).VectorsOf(gate);
  return Dispatch<1>(type, alignment, [&](auto element, auto lanes) {
    return Launch(GatedAddKernel<decltype(element), lanes>, extent.batch * extent.rows,
                  ThreadsFor(extent.width / lanes), stream, extent, x, gate, y);
  });
}

}  // namespace tessera::cuda
