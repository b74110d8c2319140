#include "worker/vae/image.h"

#include <ATen/ATen.h>

#include "worker/kernels/picture_to_rgb8.h"

namespace tessera {

at::Tensor ToRgb8(const at::Tensor& image, KernelChoice kernels) {
  return PictureToRgb8(image, kernels).cpu();
}

}  // namespace tessera
