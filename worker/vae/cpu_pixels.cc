#include "worker/vae/cpu_pixels.h"

#include <algorithm>
#include <bit>

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TESSERA_MULTIVERSION \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TESSERA_MULTIVERSION
#endif

namespace tessera::cpu {
namespace {

// e^x to about one unit in the last place, in a form that vectorises: 2^n times a polynomial of
// what is left, |r| <= ln(2) / 2 (the coefficients of Cephes' expf). Ends at the largest finite
// powers.
inline float Exp(float x) {
  constexpr float kLog2E = 1.44269504F, kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves the nearest integer
  x = std::min(std::max(x, -87.0F), 88.0F);
  const float shifted = x * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const uint32_t exponent = (std::bit_cast<uint32_t>(shifted) + 127U) << 23;
  return p * std::bit_cast<float>(exponent);
}

}  // namespace

TESSERA_MULTIVERSION
void AddMoments(const float* x, int64_t count, int64_t block, double* __restrict sum,
                double* __restrict sum_of_squares) {
  for (int64_t first = 0; first < count; first += block) {
    const int64_t length = std::min(block, count - first);
    for (int64_t i = 0; i < length; ++i) {
      const double value = x[first + i];
      sum[i] += value;
      sum_of_squares[i] += value * value;
    }
  }
}

TESSERA_MULTIVERSION
void ScaleShiftSilu(const float* __restrict x, int64_t count, const float* __restrict scale,
                    const float* __restrict shift, int64_t block, float* __restrict y) {
  for (int64_t first = 0; first < count; first += block) {
    const int64_t length = std::min(block, count - first);
    for (int64_t i = 0; i < length; ++i) {
      const float value = x[first + i] * scale[i] + shift[i];
      y[first + i] = value / (1.0F + Exp(-value));
    }
  }
}

}  // namespace tessera::cpu
