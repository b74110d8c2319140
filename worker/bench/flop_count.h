#pragma once

#include <vector>

#include "common/plan/token_rows.h"
#include "worker/flux/flux_config.h"

namespace tessera {

// Floating-point operations of one forward pass of one picture, a multiply-add counted as two. What
// is computed once before the loop (modulations, text embedding) does not count.
struct FlopCount {
  double linear = 0;
  double attention = 0;
  double total() const { return linear + attention; }
};

// `rows` is what a rank computes, joint_tokens the rows its attention reads: all text and image
// tokens.
FlopCount CountFlops(const FluxConfig& config, const TokenRows& rows, int64_t joint_tokens);

// A GEMM of the pass: [rows, in] x [in, out], this many times.
struct GemmShape {
  int64_t rows, in, out, times;
};
std::vector<GemmShape> GemmsOf(const FluxConfig& config, const TokenRows& rows);

}  // namespace tessera
