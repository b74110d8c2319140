#include "worker/bench/bench_report.h"

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/model/dtype_names.h"

namespace tessera {
namespace {

constexpr char kEmulated[] = "emulated, compute only";

double Megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

std::string ModelName(const BenchOptions& options) {
  if (!options.model_dir.empty()) return options.model;
  return options.model.empty() ? "random weights"
                               : absl::StrCat("random weights in the sizes of ", options.model);
}

std::string Heading(const BenchOptions& options, const FluxConfig& config) {
  const ImageRequest& request = options.request;
  return absl::StrFormat(
      "%s: %d double + %d single blocks, %d heads x %d\n"
      "%dx%d (%d image + %d text tokens), %d steps, %d rounds, %d thread%s a rank, %s\n",
      ModelName(options), config.num_layers, config.num_single_layers, config.num_attention_heads,
      config.attention_head_dim, request.width, request.height,
      request.width / 16 * (request.height / 16), request.max_sequence_length,
      request.num_inference_steps, options.rounds, options.settings.threads,
      options.settings.threads == 1 ? "" : "s", options.device);
}

bool HasFp8Layers(const BenchOptions& options) {
  return absl::EndsWith(absl::StripSuffix(options.settings.dtype, kFp8KvSuffix), kFp8Suffix);
}

std::string StepTable(const BenchOptions& options, const std::vector<BenchFigures>& figures) {
  std::string text =
      "\nranks  steady step   sync step     speed-up  TFLOP/s (of a large GEMM's)  GEMMs alone "
      "(share)  received     latents\n";
  for (const BenchFigures& f : figures) {
    absl::StrAppendFormat(
        &text,
        "%5d  %8.1f ms   %8.1f ms   %7.2fx  %7.3f (%3.0f%% of %7.3f)      %8.1f ms (%3.0f%%)   "
        "%8.2f MB   %s\n",
        f.ranks, f.steady_ms(), f.sync_step_ms, f.speedup, f.tflops, 100 * f.rate_share(),
        f.large_gemm_tflops, f.gemm_ms, 100 * f.gemm_share(), Megabytes(f.bytes_received),
        f.psnr_db == 0 ? "the same" : absl::StrFormat("%.1f dB", f.psnr_db));
  }
  if (HasFp8Layers(options)) {
    absl::StrAppend(&text, "(the large GEMM and the GEMMs alone are measured without FP8)\n");
  }
  absl::StrAppend(&text, "\nranks  text encode      denoise   VAE decode          PNG\n");
  for (const BenchFigures& f : figures) {
    absl::StrAppendFormat(&text, "%5d  %8.1f ms  %8.1f ms  %8.1f ms  %8.1f ms\n", f.ranks,
                          f.text_encode_ms, f.denoise_ms, f.decode_ms, f.png_ms);
  }
  return text;
}

std::string EmulatedTable(const std::vector<EmulatedRanks>& emulated) {
  if (emulated.empty()) return "";
  std::string text = absl::StrFormat(
      "\n%s: each rank's steady step alone, nothing exchanged\n"
      "ranks     one rank      slowest         mean  speed-up   by chunk, ms\n",
      kEmulated);
  for (const EmulatedRanks& e : emulated) {
    absl::StrAppendFormat(&text, "%5d  %8.1f ms  %8.1f ms  %8.1f ms  %7.2fx  ", e.ranks,
                          e.one_rank_ms, e.slowest_ms, e.mean_ms, e.speedup);
    for (const double ms : e.chunk_ms) absl::StrAppendFormat(&text, " %.1f", ms);
    absl::StrAppend(&text, "\n");
  }
  return text;
}

std::string ProfileTable(const BenchOptions& options, const std::vector<StepProfile>& profiles) {
  if (profiles.empty()) return "";
  std::string text = absl::StrCat("\na steady step under the profiler, ms (",
                                  options.device == "cpu" ? "ATen calls" : "launches", ")\nranks");
  for (const char* name : kKernelClassNames) absl::StrAppendFormat(&text, "  %18s", name);
  absl::StrAppend(&text, "      rest                step\n");
  const auto append = [&text](double ms, double launches) {
    absl::StrAppendFormat(&text, "  %9.2f (%6.0f)", ms, launches);
  };
  for (const StepProfile& p : profiles) {
    absl::StrAppendFormat(&text, "%5d", p.ranks);
    for (const StepProfile::Class& c : p.classes) append(c.ms, c.launches);
    absl::StrAppendFormat(&text, "  %8.2f", p.rest_ms());
    append(p.step_ms, p.launches());
    absl::StrAppend(&text, "\n");
  }
  return text;
}

nlohmann::json JsonOf(const BenchFigures& f) {
  return {{"ranks", f.ranks},
          {"steady_step_ms", f.steady_ms()},
          {"sync_step_ms", f.sync_step_ms},
          {"stale_step_ms", f.stale_step_ms},
          {"speedup", f.speedup},
          {"tflops", f.tflops},
          {"large_gemm_tflops", f.large_gemm_tflops},
          {"gemm_ms", f.gemm_ms},
          {"gemm_share", f.gemm_share()},
          {"bytes_received", f.bytes_received},
          {"latents_psnr_db", f.psnr_db},
          {"text_encode_ms", f.text_encode_ms},
          {"denoise_ms", f.denoise_ms},
          {"decode_ms", f.decode_ms},
          {"png_ms", f.png_ms}};
}

nlohmann::json JsonOf(const EmulatedRanks& e) {
  return {{"what", kEmulated},      {"ranks", e.ranks},           {"one_rank_ms", e.one_rank_ms},
          {"chunk_ms", e.chunk_ms}, {"slowest_ms", e.slowest_ms}, {"mean_ms", e.mean_ms},
          {"speedup", e.speedup}};
}

nlohmann::json JsonOf(const StepProfile& p) {
  nlohmann::json json = {{"ranks", p.ranks},
                         {"step_ms", p.step_ms},
                         {"rest_ms", p.rest_ms()},
                         {"launches", p.launches()}};
  for (int i = 0; i < kKernelClasses; ++i) {
    json["classes"][kKernelClassNames[i]] = {{"ms", p.classes[i].ms},
                                             {"launches", p.classes[i].launches}};
  }
  return json;
}

template <typename T>
nlohmann::json JsonList(const std::vector<T>& values) {
  nlohmann::json list = nlohmann::json::array();
  for (const T& value : values) list.push_back(JsonOf(value));
  return list;
}

}  // namespace

std::string Table(const BenchOptions& options, const FluxConfig& config,
                  const BenchReport& report) {
  const PeakMemory& peak = report.memory;
  std::string text =
      absl::StrCat(Heading(options, config), StepTable(options, report.figures),
                   EmulatedTable(report.emulated), ProfileTable(options, report.profiles));
  absl::StrAppendFormat(&text, "\npeak memory of the process: %.0f MB\n",
                        Megabytes(peak.process_bytes));
  if (peak.device_reserved_bytes > 0) {
    absl::StrAppendFormat(&text, "peak memory of the device: %.0f MB in tensors, %.0f MB taken\n",
                          Megabytes(peak.device_bytes), Megabytes(peak.device_reserved_bytes));
  }
  return text;
}

nlohmann::json Json(const BenchOptions& options, const FluxConfig& config,
                    const BenchReport& report) {
  const ImageRequest& request = options.request;
  return {{"version", TESSERA_VERSION},
          {"arguments", options.arguments},
          {"model", options.model},
          {"random_weights", options.model_dir.empty()},
          {"device", options.device},
          {"threads", options.settings.threads},
          {"num_layers", config.num_layers},
          {"num_single_layers", config.num_single_layers},
          {"heads", config.num_attention_heads},
          {"head_dim", config.attention_head_dim},
          {"width", request.width},
          {"height", request.height},
          {"text_tokens", request.max_sequence_length},
          {"steps", request.num_inference_steps},
          {"rounds", options.rounds},
          {"peak_memory_bytes", report.memory.process_bytes},
          {"peak_device_bytes", report.memory.device_bytes},
          {"peak_device_reserved_bytes", report.memory.device_reserved_bytes},
          {"runs", JsonList(report.figures)},
          {"emulated", JsonList(report.emulated)},
          {"profiles", JsonList(report.profiles)}};
}

}  // namespace tessera
