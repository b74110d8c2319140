#pragma once

#include <cstdint>

namespace tessera::cpu {

// Float32 kernels over raw rows, compiled once per instruction set and chosen at load time.
// Deterministic: sums run over a fixed number of lanes, whatever the instruction set's width.

// y = layer_norm(x) * (1 + scale) + shift over one row of `width`.
void LayerNormModulateRow(const float* x, const float* shift, const float* scale, float eps,
                          int64_t width, float* y);

// One token: y[h] = rope(rms_norm(x[h]) * weight) for each head. cos, sin: head_dim / 2 values.
void NormRopeRow(const float* x, const float* weight, const float* cos, const float* sin, float eps,
                 int64_t heads, int64_t head_dim, float* y);

// x += gate * y over one row.
void GatedAddRow(float* x, const float* gate, const float* y, int64_t width);

}  // namespace tessera::cpu
