#include "worker/bench/bench_options.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/flags/strict_flags.h"

namespace tessera {
namespace {

constexpr int kMaxLayers = 1000;
constexpr int kMaxRanks = 64;
constexpr int kMaxPixels = 65536;
constexpr int kMaxSteps = 100'000;

// Small enough for a CPU, large enough for its GEMMs to weigh.
FluxConfig DefaultSizes() {
  return {.num_layers = 4,
          .num_single_layers = 8,
          .num_attention_heads = 8,
          .attention_head_dim = 64,
          .in_channels = 64,
          .out_channels = 64,
          .joint_attention_dim = 512,
          .pooled_projection_dim = 256,
          .guidance_embeds = true,
          .axes_dims_rope = {8, 28, 28}};
}

template <typename Choice>
void AddChoice(CLI::App& app, const std::string& name, Choice& choice, const std::string& help,
               const std::map<std::string, Choice>& choices) {
  std::vector<std::string> names;
  std::string default_name;
  for (const auto& [text, value] : choices) {
    names.push_back(text);
    if (value == choice) default_name = text;
  }
  app.add_option_function<std::string>(
         name, [&choice, choices](const std::string& text) { choice = choices.at(text); }, help)
      ->check(CLI::IsMember(names))
      ->default_str(default_name);
}

void AddModelOptions(CLI::App& app, BenchOptions& options) {
  app.add_option(
      "--model", options.model,
      "The folder of a checkpoint. Without this flag the weights are random, have the sizes "
      "that the next flags give, and only the denoising loop runs.");
  app.add_flag(
         "--random-weights", options.random_weights,
         "Random weights in the sizes of --model, which is then the folder of a checkpoint, or "
         "flux-dev for the sizes of FLUX.1-dev (24 GB in bfloat16).")
      ->disable_flag_override();
  app.add_flag("--vae", options.vae,
               "With random weights: also decodes, with a VAE of FLUX's sizes.")
      ->disable_flag_override();
  FluxConfig& config = options.config;
  app.add_option("--layers", config.num_layers, "How many double blocks random weights have.")
      ->transform(NumberIn<int64_t>(0, kMaxLayers));
  app.add_option("--single-layers", config.num_single_layers,
                 "How many single blocks random weights have.")
      ->transform(NumberIn<int64_t>(0, kMaxLayers));
  app.add_option("--heads", config.num_attention_heads,
                 "How many attention heads random weights have.")
      ->transform(NumberIn<int64_t>(1, 1024));
  app.add_option("--axes", config.axes_dims_rope,
                 "The widths of the three rotary axes of random weights. Their sum is the "
                 "width of a head.")
      ->delimiter(',')
      ->transform(NumberIn<int64_t>(2, 1024));
}

void AddDeviceOptions(CLI::App& app, BenchOptions& options) {
  AddDevice(app, options.device);
  AddWorkerSetting(app, options.settings, "--dtype");
  AddChoice<CudaKernels>(
      app, "--kernels", options.kernels.cuda_kernels,
      "What does the element-wise work on a GPU: ATen, or the fused kernels of Tessera.",
      {{"aten", CudaKernels::kAten}, {"fused", CudaKernels::kFused}});
  AddChoice<Gemm>(app, "--gemm", options.kernels.gemm,
                  "What computes linear layers on a GPU. cublaslt does bias and GELU in the GEMM.",
                  {{"aten", Gemm::kAten}, {"cublaslt", Gemm::kCublasLt}});
  AddChoice<Fp8Accumulation>(
      app, "--fp8-accumulation", options.kernels.fp8_accumulation,
      "How a GPU sums FP8 products. fast is less exact.",
      {{"exact", Fp8Accumulation::kExact}, {"fast", Fp8Accumulation::kFast}});
  AddChoice<Attention>(app, "--attention", options.attention,
                       "Which attention kernel a GPU uses. Any but auto fails where that kernel "
                       "cannot run, so use it with random weights and without --vae.",
                       {{"auto", Attention::kAuto},
                        {"cudnn", Attention::kCudnn},
                        {"flash", Attention::kFlash},
                        {"efficient", Attention::kEfficient}});
  AddChoice<StepGraphs>(app, "--step-graphs", options.kernels.step_graphs,
                        "Whether a GPU replays steps that exchange nothing as CUDA graphs.",
                        {{"off", StepGraphs::kOff}, {"on", StepGraphs::kOn}});
  AddWorkerSetting(app, options.settings, "--threads");
}

void AddMeasurementOptions(CLI::App& app, BenchOptions& options) {
  app.add_option("--ranks", options.ranks,
                 "The numbers of ranks to measure, all ranks in one process, such as 1,2.")
      ->delimiter(',')
      ->transform(NumberIn<int>(1, kMaxRanks));
  app.add_option("--emulate-ranks", options.emulate_ranks,
                 "The numbers of ranks to emulate, such as 2,4,8. The bench times what each rank "
                 "computes in a steady step, one rank after another, without any exchange.")
      ->delimiter(',')
      ->transform(NumberIn<int>(1, kMaxRanks));
  app.add_flag("--profile", options.profile,
               "Also prints the time of a steady step by class of kernel, for one rank and for "
               "emulated ranks.")
      ->disable_flag_override();
  app.add_option("--rounds", options.rounds, "How many rounds are counted.")
      ->transform(NumberIn<int>(1, 1'000'000));
  app.add_option("--json", options.json_path, "The file to which the figures are written as JSON.");
  app.add_option("--latents", options.latents_path,
                 "The file to which the final latents of the first number of ranks are written as "
                 "safetensors.");
}

void AddRequestOptions(CLI::App& app, ImageRequest& request) {
  app.add_option("--width", request.width, "The width of the picture in pixels.")
      ->transform(NumberIn<int>(1, kMaxPixels));
  app.add_option("--height", request.height, "The height of the picture in pixels.")
      ->transform(NumberIn<int>(1, kMaxPixels));
  app.add_option("--steps", request.num_inference_steps, "How many denoising steps.")
      ->transform(NumberIn<int>(1, kMaxSteps));
  app.add_option("--text-tokens", request.max_sequence_length, "How many T5 tokens.")
      ->transform(NumberIn<int>(1, 65536));
  app.add_option("--images", request.num_images, "How many pictures one request makes.")
      ->transform(NumberIn<int>(1, 1024));
  app.add_option("--sync-steps", request.sync_steps, "How many leading steps are exact.")
      ->transform(NumberIn<int>(1, kMaxSteps));
  app.add_option("--refresh-every", request.refresh_every,
                 "How many steps lie between later exact steps. 0 means that there are none.")
      ->transform(NumberIn<int>(0, kMaxSteps));
  AddChoice<TextMode>(app, "--text-mode", request.text_mode,
                      "Whether the ranks split the text tokens or each compute all of them.",
                      {{"split", TextMode::kSplit}, {"replicated", TextMode::kReplicated}});
}

// Finds out what --model means. Throws CLI::ValidationError.
void ResolveModel(BenchOptions& options) {
  if (options.model.empty()) {
    if (options.config.axes_dims_rope.size() != 3) {
      throw CLI::ValidationError("--axes", absl::StrCat("expected three numbers, found ",
                                                        options.config.axes_dims_rope.size()));
    }
    options.config.attention_head_dim = 0;
    for (const int64_t axis : options.config.axes_dims_rope) {
      options.config.attention_head_dim += axis;
    }
  } else if (!options.random_weights) {
    options.model_dir = options.model;
  } else if (options.model == "flux-dev") {
    options.config = FluxDevSizes();
  } else {
    const auto checkpoint = Checkpoint::Open(options.model);
    if (!checkpoint.ok()) throw CLI::ValidationError("--model", checkpoint.status().ToString());
    const absl::StatusOr<FluxConfig> config = ReadFluxConfig(**checkpoint);
    if (!config.ok()) throw CLI::ValidationError("--model", config.status().ToString());
    options.config = *config;
  }
}

}  // namespace

FluxConfig FluxDevSizes() {
  return {.num_layers = 19,
          .num_single_layers = 38,
          .num_attention_heads = 24,
          .attention_head_dim = 128,
          .in_channels = 64,
          .out_channels = 64,
          .joint_attention_dim = 4096,
          .pooled_projection_dim = 768,
          .guidance_embeds = true,
          .axes_dims_rope = {16, 56, 56}};
}

void AddBenchFlags(CLI::App& app, BenchOptions& options) {
  app.option_defaults()->always_capture_default();
  options.config = DefaultSizes();
  ImageRequest& request = options.request;
  request.prompt = "a lighthouse on a cliff at dawn";
  request.width = request.height = 512;
  request.num_inference_steps = 8;
  request.max_sequence_length = 128;
  AddModelOptions(app, options);
  AddDeviceOptions(app, options);
  AddMeasurementOptions(app, options);
  AddRequestOptions(app, request);
}

BenchOptions ParseBenchOptions(int argc, const char* const* argv) {
  BenchOptions options;
  options.arguments = absl::StrJoin(argv + 1, argv + argc, " ");
  CLI::App app(
      "Measures Tessera's engine: milliseconds per step, TFLOP/s, exchange and memory, for several "
      "numbers of ranks in turn.",
      "tessera-bench");
  AddBenchFlags(app, options);
  ParseFlagsOrExit(app, argc, argv);
  try {
    ResolveModel(options);
  } catch (const CLI::Error& error) {
    std::exit(app.exit(error));
  }
  return options;
}

}  // namespace tessera
