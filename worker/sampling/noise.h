#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tessera {

// Standard normal numbers from a CPU generator (mt19937) seeded with the low 32 bits of `seed`, in
// one draw, on the CPU.
at::Tensor DrawNoise(at::IntArrayRef shape, at::ScalarType dtype, uint64_t seed);

}  // namespace tessera
