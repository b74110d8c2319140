#include "worker/bench/gemm_rate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "worker/pipeline/compute_device.h"

namespace tessera {

double MeasureGemmsMs(std::span<const GemmShape> gemms, const at::TensorOptions& options) {
  constexpr int kRepeats = 5;
  double total_ms = 0;
  for (const GemmShape& gemm : gemms) {
    if (gemm.rows == 0 || gemm.times == 0) continue;
    const at::Tensor x = at::randn({gemm.rows, gemm.in}, options),
                     bias = at::randn({gemm.out}, options);
    // Several weights in turn, as the blocks have their own: one alone would stay in the cache.
    std::vector<at::Tensor> weights;
    for (int64_t i = 0; i < std::min<int64_t>(gemm.times, 8); ++i) {
      weights.push_back(at::randn({gemm.out, gemm.in}, options));
    }
    at::Tensor y = at::linear(x, weights[0], bias);
    Synchronize(y.device());
    std::vector<double> ms;
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      const auto begin = std::chrono::steady_clock::now();
      for (const at::Tensor& weight : weights) y = at::linear(x, weight, bias);
      Synchronize(y.device());
      const std::chrono::duration<double, std::milli> spent =
          std::chrono::steady_clock::now() - begin;
      ms.push_back(spent.count() / static_cast<double>(weights.size()));
    }
    std::sort(ms.begin(), ms.end());
    total_ms += ms[kRepeats / 2] * static_cast<double>(gemm.times);
  }
  return total_ms;
}

}  // namespace tessera
