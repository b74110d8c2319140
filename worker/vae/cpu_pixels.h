#pragma once

#include <cstdint>

namespace tessera::cpu {

// Float32 kernels over pixels that lie one after the other, channels side by side, compiled once
// per instruction set and chosen at load time. `block` is a multiple of the channels: what belongs
// to channel c stands in places c, c + channels, ... of an array of that length.

// sum[i] += x, sum_of_squares[i] += x^2 for every i-th element of a block.
void AddMoments(const float* x, int64_t count, int64_t block, double* sum, double* sum_of_squares);

// y = silu(x * scale[i] + shift[i]) for every i-th element of a block.
void ScaleShiftSilu(const float* x, int64_t count, const float* scale, const float* shift,
                    int64_t block, float* y);

}  // namespace tessera::cpu
