#include "worker/kernels/cuda/launch.cuh"

namespace tessera::cuda {
namespace {

constexpr int kThreads = 256;

template <typename T, int kLanes>
__global__ void EulerUpdateKernel(int64_t packs, T* latents, const T* velocity, float change) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= packs) return;
  const float factor = Rounded<T>(change);
  auto x = Pack<T, kLanes>::Load(latents, index);
  const auto v = Pack<T, kLanes>::Load(velocity, index);
#pragma unroll
  for (int i = 0; i < kLanes; ++i) x.Set(i, __fadd_rn(x[i], Mul<T>(v[i], factor)));
  x.Store(latents, index);
}

}  // namespace

LaunchError EulerUpdate(Element type, int64_t count, void* latents, const void* velocity,
                        float change, Stream stream) {
  const Alignment alignment = Alignment(type).Elements(count).Address(latents).Address(velocity);
  return Dispatch<1>(type, alignment, [&](auto element, auto lanes) {
    using T = decltype(element);
    const int64_t packs = count / lanes;
    return Launch(EulerUpdateKernel<T, lanes>, (packs + kThreads - 1) / kThreads, kThreads, stream,
                  packs, static_cast<T*>(latents), static_cast<const T*>(velocity), change);
  });
}

}  // namespace tessera::cuda
