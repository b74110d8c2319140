#include "worker/kernels/cuda/gelu.cuh"
#include "worker/kernels/cuda/launch.cuh"

namespace tessera::cuda {
namespace {

// Threads of a block; a row of FLUX's MLP gives each a few packs.
constexpr int kThreads = 512;

template <typename T, int kLanes>
__global__ void GeluTanhKernel(Extent extent, ConstRows x, Rows y) {
  const int64_t batch = blockIdx.x / extent.rows, row = blockIdx.x % extent.rows;
  const T* const in = RowOf<T>(x, batch, row);
  T* const out = RowOf<T>(y, batch, row);
  for (int64_t index = threadIdx.x; index < extent.width / kLanes; index += blockDim.x) {
    auto pack = Pack<T, kLanes>::Load(in, index);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) pack.Set(i, Gelu(pack[i]));
    pack.Store(out, index);
  }
}

}  // namespace

LaunchError GeluTanh(Element type, const Extent& extent, const ConstRows& x, const Rows& y,
                     Stream stream) {
  const Alignment alignment = Alignment(type).Elements(extent.width).RowsOf(x).RowsOf(y);
  return Dispatch<1>(type, alignment, [&](auto element, auto lanes) {
    const int threads = std::min(kThreads, ThreadsFor(extent.width / lanes));
    return Launch(GeluTanhKernel<decltype(element), lanes>, extent.batch * extent.rows, threads,
                  stream, extent, x, y);
  });
}

}  // namespace tessera::cuda
