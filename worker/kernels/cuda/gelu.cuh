#pragma once

namespace tessera::cuda {

// gelu(x), tanh approximation: Hendrycks and Gimpel 2016, in the order of ATen's operations.
__device__ inline float Gelu(float x) {
  constexpr float kBeta = 0.7978845608028654F;  // sqrt(2 / pi)
  constexpr float kKappa = 0.044715F;
  const float inner = kBeta * (x + kKappa * (x * x * x));
  return 0.5F * x * (1.0F + tanhf(inner));
}

}  // namespace tessera::cuda
