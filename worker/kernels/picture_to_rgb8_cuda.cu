#include "worker/kernels/cuda/launch.cuh"

namespace tessera::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kChannels = 3;

template <typename T>
__global__ void PictureToRgb8Kernel(Picture picture, uint8_t* rgb) {
  const int64_t pixel = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (pixel >= picture.batch * picture.height * picture.width) return;
  const int64_t column = pixel % picture.width, row = pixel / picture.width % picture.height;
  const int64_t batch = pixel / picture.width / picture.height;
  const T* const in = static_cast<const T*>(picture.data) + batch * picture.batch_stride +
                      row * picture.row_stride + column * picture.column_stride;
#pragma unroll
  for (int channel = 0; channel < kChannels; ++channel) {
    const float x = ToFloat(in[channel * picture.channel_stride]);
    const float unit = fminf(fmaxf(Add<T>(Mul<T>(x, 0.5F), 0.5F), 0.0F), 1.0F);
    rgb[pixel * kChannels + channel] = static_cast<uint8_t>(rintf(__fmul_rn(unit, 255.0F)));
  }
}

}  // namespace

LaunchError PictureToRgb8(Element type, const Picture& picture, uint8_t* rgb, Stream stream) {
  const int64_t pixels = picture.batch * picture.height * picture.width;
  return Dispatch<1>(type, Alignment(type).Elements(1), [&](auto element, auto) {
    return Launch(PictureToRgb8Kernel<decltype(element)>, (pixels + kThreads - 1) / kThreads,
                  kThreads, stream, picture, rgb);
  });
}

}  // namespace tessera::cuda
