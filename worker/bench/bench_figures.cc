#include "worker/bench/bench_figures.h"

#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>

#include "common/plan/parallel_plan.h"
#include "worker/bench/flop_count.h"
#include "worker/bench/gemm_rate.h"
#include "worker/bench/median.h"

namespace tessera {
namespace {

struct StepMs {
  std::vector<double> sync, stale;
};

StepMs SplitSteps(const BenchRun& run, const ParallelPlan& plan) {
  StepMs ms;
  for (size_t step = 0; step < run.times.step_ms.size(); ++step) {
    const bool sync = plan.KindOf(static_cast<int>(step)) == StepKind::kSync;
    (sync ? ms.sync : ms.stale).push_back(run.times.step_ms[step]);
  }
  if (ms.stale.size() > 1) ms.stale.erase(ms.stale.begin());
  return ms;
}

// The step that repeats. With one rank every step is the same.
double SteadyMs(const BenchRun& run, const ParallelPlan& plan) {
  const StepMs ms = SplitSteps(run, plan);
  return Median(ms.stale.empty() ? ms.sync : ms.stale);
}

double PsnrDb(const at::Tensor& expected, const at::Tensor& actual) {
  const at::Tensor a = expected.to(at::kDouble), b = actual.to(at::kDouble);
  const double mse = (a - b).square().mean().item<double>();
  const double peak = (a.max() - a.min()).item<double>();
  return mse == 0 ? 0 : 10 * std::log10(peak * peak / mse);
}

template <typename F>
double MedianOf(const std::vector<BenchRun>& rounds, const F& f) {
  std::vector<double> values;
  for (const BenchRun& run : rounds) values.push_back(f(run));
  return Median(values);
}

// The times of one number of ranks; `first` are the rounds of the first number.
BenchFigures TimesOf(const std::vector<BenchRun>& first, const std::vector<BenchRun>& rounds,
                     const ParallelPlan& plan) {
  BenchFigures f;
  f.sync_step_ms =
      MedianOf(rounds, [&](const BenchRun& r) { return Median(SplitSteps(r, plan).sync); });
  f.stale_step_ms =
      MedianOf(rounds, [&](const BenchRun& r) { return Median(SplitSteps(r, plan).stale); });
  f.text_encode_ms =
      1e3 * MedianOf(rounds, [](const BenchRun& r) { return r.times.text_encode_s; });
  f.denoise_ms = 1e3 * MedianOf(rounds, [](const BenchRun& r) { return r.times.denoise_s; });
  f.decode_ms = 1e3 * MedianOf(rounds, [](const BenchRun& r) { return r.times.decode_s; });
  f.png_ms = 1e3 * MedianOf(rounds, [](const BenchRun& r) { return r.png_s; });
  f.bytes_received = rounds[0].bytes_received;
  f.psnr_db = PsnrDb(first[0].latents, rounds[0].latents);
  std::vector<double> ratios;
  for (size_t round = 0; round < rounds.size(); ++round) {
    ratios.push_back(SteadyMs(first[round], plan) / SteadyMs(rounds[round], plan));
  }
  f.speedup = Median(ratios);
  return f;
}

ChunkLayout LayoutOf(const ImageRequest& request, int ranks) {
  return {.text_tokens = request.max_sequence_length,
          .image_tokens = int64_t{request.width / 16} * (request.height / 16),
          .ranks = ranks,
          .text_mode = request.text_mode};
}

}  // namespace

std::vector<BenchFigures> Summarise(const BenchOptions& options, const FluxConfig& config,
                                    const std::vector<std::vector<BenchRun>>& runs) {
  const ImageRequest& request = options.request;
  const at::TensorOptions tensors = runs[0][0].latents.options();
  const double gemm_tflops = MeasureGemmTflops(tensors, options.kernels);
  std::vector<BenchFigures> all;
  for (size_t i = 0; i < runs.size(); ++i) {
    const ChunkLayout layout = LayoutOf(request, options.ranks[i]);
    const auto plan = MakeParallelPlan(layout, request.num_inference_steps,
                                       {request.sync_steps, request.refresh_every});
    BenchFigures f = TimesOf(runs[0], runs[i], *plan);
    f.ranks = options.ranks[i];
    double flops = 0;
    for (int rank = 0; rank < f.ranks; ++rank) {
      flops += CountFlops(config, layout.Chunk(rank), layout.tokens()).total();
    }
    f.tflops = flops * request.num_images / f.steady_ms() / 1e9;
    f.large_gemm_tflops = gemm_tflops * (tensors.device().is_cpu() ? f.ranks : 1);
    TokenRows rows = layout.Chunk(0);
    rows.text.end = rows.text.begin + rows.text.size() * request.num_images;
    rows.image.end = rows.image.begin + rows.image.size() * request.num_images;
    f.gemm_ms = MeasureGemmsMs(GemmsOf(config, rows), tensors, options.kernels);
    all.push_back(f);
  }
  return all;
}

PeakMemory MeasurePeakMemory(at::Device device) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  PeakMemory peak = {.process_bytes = int64_t{usage.ru_maxrss} * 1024};
  if (!device.is_cpu()) {
    const auto total = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const c10::CachingDeviceAllocator::DeviceStats stats =
        c10::getDeviceAllocator(device.type())->getDeviceStats(device.index());
    peak.device_bytes = stats.allocated_bytes[total].peak;
    peak.device_reserved_bytes = stats.reserved_bytes[total].peak;
  }
  return peak;
}

}  // namespace tessera
