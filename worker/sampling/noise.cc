#include "worker/sampling/noise.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

namespace tessera {

at::Tensor DrawNoise(at::IntArrayRef shape, at::ScalarType dtype, uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed),
                   at::TensorOptions().dtype(dtype).device(at::kCPU));
}

}  // namespace tessera
