#include "worker/vae/image.h"

#include <ATen/ATen.h>

#include "worker/kernels/fused_ops.h"

namespace tessera {

at::Tensor ToRgb8(const at::Tensor& image) { return PictureToRgb8(image).cpu(); }

}  // namespace tessera
