#include "worker/kernels/picture_to_rgb8.h"

#include <ATen/ATen.h>

#include "worker/kernels/cuda/enqueue.h"
#include "worker/kernels/dispatch.h"

namespace tessera {

at::Tensor PictureToRgb8(const at::Tensor& picture, KernelChoice kernels) {
  if constexpr (kCudaKernelsBuilt) {
    if (RunsOnCuda({&picture}, kernels)) {
      const int64_t batch = picture.size(0), height = picture.size(2), width = picture.size(3);
      at::Tensor rgb = at::empty({batch, height, width, 3}, picture.options().dtype(at::kByte));
      cuda::Enqueue(picture, [&](cuda::Stream stream) {
        return cuda::PictureToRgb8(
            cuda::ElementOf(picture),
            {picture.const_data_ptr(), batch, height, width, picture.stride(0), picture.stride(1),
             picture.stride(2), picture.stride(3)},
            rgb.mutable_data_ptr<uint8_t>(), stream);
      });
      return rgb;
    }
  }
  return reference::PictureToRgb8(picture);
}

namespace reference {

at::Tensor PictureToRgb8(const at::Tensor& picture) {
  const at::Tensor unit = picture.mul(0.5).add_(0.5).clamp_(0, 1).to(at::kFloat);
  return unit.mul(255).round_().to(at::kByte).permute({0, 2, 3, 1}).contiguous();
}

}  // namespace reference
}  // namespace tessera
