#include <ATen/ops/empty.h>

#include <cmath>

#include "worker/kernels/cpu_rows.h"
#include "worker/kernels/layer_norm_modulate.h"

namespace tessera::cpu {

// y = layer_norm(x) * (1 + scale) + shift over one row of `width`.
TESSERA_MULTIVERSION
void LayerNormModulateRow(const float* x, const float* shift, const float* scale, float eps,
                          int64_t width, float* y) {
  float lanes[kLanes] = {};
  const int64_t whole = width - width % kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += x[i + j];
  }
  for (int64_t i = whole; i < width; ++i) lanes[i - whole] += x[i];
  const float mean = SumLanes(lanes) / static_cast<float>(width);

  for (float& lane : lanes) lane = 0;
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += (x[i + j] - mean) * (x[i + j] - mean);
  }
  for (int64_t i = whole; i < width; ++i) lanes[i - whole] += (x[i] - mean) * (x[i] - mean);
  const float inverse = 1.0f / std::sqrt(SumLanes(lanes) / static_cast<float>(width) + eps);

  for (int64_t i = 0; i < width; ++i) y[i] = (x[i] - mean) * inverse * (1.0f + scale[i]) + shift[i];
}

at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps) {
  at::Tensor y = at::empty(x.sizes(), x.options());
  ForEachRow(x.size(0), x.size(1), [&](int64_t b, int64_t r) {
    LayerNormModulateRow(Row(x, b, r), Vector(shift, b), Vector(scale, b), static_cast<float>(eps),
                         x.size(2), MutableRow(y, b, r));
  });
  return y;
}

}  // namespace tessera::cpu
