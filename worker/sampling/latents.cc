#include "worker/sampling/latents.h"

#include <ATen/ATen.h>

#include "worker/sampling/noise.h"

namespace tessera {

LatentShape LatentShapeOf(int64_t width, int64_t height, int64_t channels, int64_t pixel_scale) {
  return {.channels = channels,
          .height = 2 * (height / (2 * pixel_scale)),
          .width = 2 * (width / (2 * pixel_scale))};
}

at::Tensor PackLatents(const at::Tensor& latents) {
  const int64_t batch = latents.size(0), channels = latents.size(1);
  const int64_t rows = latents.size(2) / 2, columns = latents.size(3) / 2;
  return latents.reshape({batch, channels, rows, 2, columns, 2})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({batch, rows * columns, 4 * channels});
}

at::Tensor UnpackLatents(const at::Tensor& tokens, const LatentShape& shape) {
  const int64_t batch = tokens.size(0);
  return tokens.reshape({batch, shape.rows(), shape.columns(), shape.channels, 2, 2})
      .permute({0, 3, 1, 4, 2, 5})
      .reshape({batch, shape.channels, shape.height, shape.width});
}

at::Tensor InitialLatents(const LatentShape& shape, int64_t count, at::ScalarType dtype,
                          uint64_t seed) {
  return PackLatents(DrawNoise({count, shape.channels, shape.height, shape.width}, dtype, seed));
}

}  // namespace tessera
