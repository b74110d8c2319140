#include "worker/bench/gemm_rate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "worker/bench/median.h"
#include "worker/kernels/linear/linear.h"
#include "worker/pipeline/compute_device.h"

namespace tessera {
namespace {

// Milliseconds of one of the products x W^T + b with `weights` in turn: the median of five
// measurements of all of them, each from an idle device to an idle device, after one of them has
// run unmeasured.
double MeasureMs(const at::Tensor& x, const std::vector<at::Tensor>& weights,
                 const at::Tensor& bias, KernelChoice kernels) {
  constexpr int kRepeats = 5;
  at::Tensor y = LinearOp(x, weights[0], bias, kernels);
  Synchronize(x.device());
  std::vector<double> ms;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const auto begin = std::chrono::steady_clock::now();
    for (const at::Tensor& weight : weights) y = LinearOp(x, weight, bias, kernels);
    Synchronize(x.device());
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - begin;
    ms.push_back(spent.count() / static_cast<double>(weights.size()));
  }
  return Median(ms);
}

}  // namespace

double MeasureGemmTflops(const at::TensorOptions& options, KernelChoice kernels) {
  const bool cpu = options.device().is_cpu();
  const int64_t size = cpu ? 2048 : 8192;
  const at::Tensor x = at::randn({size, size}, options), bias = at::randn({size}, options);
  // On a GPU several in a row, so that the first one's launch does not count.
  const std::vector<at::Tensor> weights(cpu ? 1 : 8, at::randn({size, size}, options));
  const double ms = MeasureMs(x, weights, bias, kernels);
  return 2.0 * static_cast<double>(size * size * size) / ms / 1e9;
}

double MeasureGemmsMs(std::span<const GemmShape> gemms, const at::TensorOptions& options,
                      KernelChoice kernels) {
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
    total_ms += MeasureMs(x, weights, bias, kernels) * static_cast<double>(gemm.times);
  }
  return total_ms;
}

}  // namespace tessera
