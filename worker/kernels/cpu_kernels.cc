#include "worker/kernels/cpu_kernels.h"

#include <cmath>

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TESSERA_MULTIVERSION \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TESSERA_MULTIVERSION
#endif

namespace tessera::cpu {
namespace {

// Partial sums: wide enough for two vectors of the widest instruction set, and the same on all of
// them.
constexpr int64_t kLanes = 32;

inline float SumLanes(const float* lanes) {
  float total = 0;
  for (int64_t i = 0; i < kLanes; ++i) total += lanes[i];
  return total;
}

}  // namespace

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

TESSERA_MULTIVERSION
void NormRopeRow(const float* x, const float* weight, const float* cos, const float* sin, float eps,
                 int64_t heads, int64_t head_dim, float* y) {
  for (int64_t h = 0; h < heads; ++h, x += head_dim, y += head_dim) {
    float lanes[kLanes] = {};
    const int64_t whole = head_dim - head_dim % kLanes;
    for (int64_t i = 0; i < whole; i += kLanes) {
      for (int64_t j = 0; j < kLanes; ++j) lanes[j] += x[i + j] * x[i + j];
    }
    for (int64_t i = whole; i < head_dim; ++i) lanes[i - whole] += x[i] * x[i];
    const float inverse = 1.0f / std::sqrt(SumLanes(lanes) / static_cast<float>(head_dim) + eps);
    for (int64_t j = 0; j < head_dim / 2; ++j) {
      const float a = x[2 * j] * inverse * weight[2 * j];
      const float b = x[2 * j + 1] * inverse * weight[2 * j + 1];
      y[2 * j] = a * cos[j] - b * sin[j];
      y[2 * j + 1] = b * cos[j] + a * sin[j];
    }
  }
}

TESSERA_MULTIVERSION
void GatedAddRow(float* x, const float* gate, const float* y, int64_t width) {
  for (int64_t i = 0; i < width; ++i) x[i] += gate[i] * y[i];
}

}  // namespace tessera::cpu
