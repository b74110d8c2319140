#include "worker/bench/bench_report.h"

#include <ATen/ATen.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "worker/bench/flop_count.h"
#include "worker/bench/gemm_rate.h"

namespace tessera {
namespace {

struct StepMs {
  std::vector<double> sync, stale;
};

StepMs SplitSteps(const BenchRun& run, const StepSchedule& schedule) {
  StepMs ms;
  for (size_t step = 0; step < run.times.step_ms.size(); ++step) {
    const bool sync = KindOfStep(static_cast<int>(step), schedule) == StepKind::kSync;
    (sync ? ms.sync : ms.stale).push_back(run.times.step_ms[step]);
  }
  if (ms.stale.size() > 1) ms.stale.erase(ms.stale.begin());
  return ms;
}

// The step that repeats. With one rank every step is the same.
double SteadyMs(const BenchRun& run, const StepSchedule& schedule) {
  const StepMs ms = SplitSteps(run, schedule);
  return Median(ms.stale.empty() ? ms.sync : ms.stale);
}

double PsnrDb(const at::Tensor& expected, const at::Tensor& actual) {
  const at::Tensor a = expected.to(at::kDouble), b = actual.to(at::kDouble);
  const double mse = (a - b).square().mean().item<double>();
  const double peak = (a.max() - a.min()).item<double>();
  return mse == 0 ? 0 : 10 * std::log10(peak * peak / mse);
}

int64_t PeakMemoryBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

template <typename F>
double MedianOf(const std::vector<BenchRun>& rounds, const F& f) {
  std::vector<double> values;
  for (const BenchRun& run : rounds) values.push_back(f(run));
  return Median(values);
}

int64_t ImageTokens(const ImageRequest& request) {
  return int64_t{request.width / 16} * (request.height / 16);
}

}  // namespace

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<BenchFigures> Summarise(const BenchOptions& options, const FluxConfig& config,
                                    const std::vector<std::vector<BenchRun>>& runs) {
  const ImageRequest& request = options.request;
  const StepSchedule schedule = {request.sync_steps, request.refresh_every};
  std::vector<BenchFigures> all;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::vector<BenchRun>& rounds = runs[i];
    BenchFigures f;
    f.ranks = options.ranks[i];
    f.sync_step_ms =
        MedianOf(rounds, [&](const BenchRun& r) { return Median(SplitSteps(r, schedule).sync); });
    f.stale_step_ms =
        MedianOf(rounds, [&](const BenchRun& r) { return Median(SplitSteps(r, schedule).stale); });
    f.text_encode_ms =
        1e3 * MedianOf(rounds, [](const BenchRun& r) { return r.times.text_encode_s; });
    f.denoise_ms = 1e3 * MedianOf(rounds, [](const BenchRun& r) { return r.times.denoise_s; });
    f.decode_ms = 1e3 * MedianOf(rounds, [](const BenchRun& r) { return r.times.decode_s; });
    f.png_ms = 1e3 * MedianOf(rounds, [](const BenchRun& r) { return r.times.png_s; });
    f.bytes_received = rounds[0].bytes_received;
    f.psnr_db = PsnrDb(runs[0][0].latents, rounds[0].latents);
    std::vector<double> ratios;
    for (size_t round = 0; round < rounds.size(); ++round) {
      ratios.push_back(SteadyMs(runs[0][round], schedule) / SteadyMs(rounds[round], schedule));
    }
    f.speedup = Median(ratios);

    const ChunkLayout layout = {request.max_sequence_length, ImageTokens(request), f.ranks,
                                request.text_mode};
    const int64_t joint = layout.text_tokens + layout.image_tokens;
    double flops = 0;
    for (int rank = 0; rank < f.ranks; ++rank)
      flops += CountFlops(config, layout.Chunk(rank), joint).total();
    f.gflops = flops * request.num_images / f.steady_ms() / 1e6;
    TokenRows rows = layout.Chunk(0);
    rows.text.end = rows.text.begin + rows.text.size() * request.num_images;
    rows.image.end = rows.image.begin + rows.image.size() * request.num_images;
    f.gemm_ms = MeasureGemmsMs(GemmsOf(config, rows), runs[0][0].latents.options());
    f.gemm_share = f.gemm_ms / f.steady_ms();
    all.push_back(f);
  }
  return all;
}

std::string Table(const BenchOptions& options, const FluxConfig& config,
                  const std::vector<BenchFigures>& figures) {
  const ImageRequest& request = options.request;
  std::string text = absl::StrFormat(
      "%s: %d double + %d single blocks, %d heads x %d\n"
      "%dx%d (%d image + %d text tokens), %d steps, %d rounds, %d thread%s a rank, %s\n\n"
      "ranks  steady step   sync step     speed-up  GFLOP/s  GEMM alone (share)   received     "
      "latents\n",
      options.model_dir.empty() ? "random weights" : options.model_dir, config.num_layers,
      config.num_single_layers, config.num_attention_heads, config.attention_head_dim,
      request.width, request.height, ImageTokens(request), request.max_sequence_length,
      request.num_inference_steps, options.rounds, options.threads, options.threads == 1 ? "" : "s",
      options.device);
  for (const BenchFigures& f : figures) {
    absl::StrAppendFormat(
        &text, "%5d  %8.1f ms   %8.1f ms   %7.2fx  %7.1f  %8.1f ms (%3.0f%%)   %8.2f MB   %s\n",
        f.ranks, f.steady_ms(), f.sync_step_ms, f.speedup, f.gflops, f.gemm_ms, 100 * f.gemm_share,
        static_cast<double>(f.bytes_received) / 1e6,
        f.psnr_db == 0 ? "the same" : absl::StrFormat("%.1f dB", f.psnr_db));
  }
  absl::StrAppend(&text, "\nranks  text encode      denoise   VAE decode          PNG\n");
  for (const BenchFigures& f : figures) {
    absl::StrAppendFormat(&text, "%5d  %8.1f ms  %8.1f ms  %8.1f ms  %8.1f ms\n", f.ranks,
                          f.text_encode_ms, f.denoise_ms, f.decode_ms, f.png_ms);
  }
  absl::StrAppendFormat(&text, "\npeak memory of the process: %.0f MB\n",
                        static_cast<double>(PeakMemoryBytes()) / 1e6);
  return text;
}

nlohmann::json Json(const BenchOptions& options, const FluxConfig& config,
                    const std::vector<BenchFigures>& figures) {
  const ImageRequest& request = options.request;
  nlohmann::json json = {{"version", TESSERA_VERSION},
                         {"model", options.model_dir},
                         {"device", options.device},
                         {"threads", options.threads},
                         {"num_layers", config.num_layers},
                         {"num_single_layers", config.num_single_layers},
                         {"heads", config.num_attention_heads},
                         {"head_dim", config.attention_head_dim},
                         {"width", request.width},
                         {"height", request.height},
                         {"text_tokens", request.max_sequence_length},
                         {"steps", request.num_inference_steps},
                         {"rounds", options.rounds},
                         {"peak_memory_bytes", PeakMemoryBytes()},
                         {"runs", nlohmann::json::array()}};
  for (const BenchFigures& f : figures) {
    json["runs"].push_back({{"ranks", f.ranks},
                            {"steady_step_ms", f.steady_ms()},
                            {"sync_step_ms", f.sync_step_ms},
                            {"stale_step_ms", f.stale_step_ms},
                            {"speedup", f.speedup},
                            {"gflops", f.gflops},
                            {"gemm_ms", f.gemm_ms},
                            {"gemm_share", f.gemm_share},
                            {"bytes_received", f.bytes_received},
                            {"latents_psnr_db", f.psnr_db},
                            {"text_encode_ms", f.text_encode_ms},
                            {"denoise_ms", f.denoise_ms},
                            {"decode_ms", f.decode_ms},
                            {"png_ms", f.png_ms}});
  }
  return json;
}

}  // namespace tessera
