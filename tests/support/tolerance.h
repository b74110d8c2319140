#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace tessera::testing {

struct Comparison {
  bool within = false;
  std::string difference;  // the largest, in the tolerance's own measure, as text
};

// The tolerance of one tensor as tests/reference/golden/README.md words it; `file` is "golden" or
// "golden_bf16". A tensor without a row, or wording that is not understood, ends the test program.
std::string ToleranceOf(const std::string& file, const std::string& name);

// Compares under a tolerance so worded. A NaN is never within.
Comparison CompareWithin(const std::string& tolerance, const at::Tensor& expected,
                         const at::Tensor& actual);

}  // namespace tessera::testing
