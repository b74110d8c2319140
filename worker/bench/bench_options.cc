#include "worker/bench/bench_options.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <map>

#include "absl/strings/str_join.h"
#include "common/model/dtype_names.h"

namespace tessera {
namespace {

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
  app.add_option(name, choice, help)->transform(CLI::CheckedTransformer(choices));
}

void AddModelOptions(CLI::App& app, BenchOptions& options, bool& random_weights) {
  app.add_option("--model", options.model,
                 "Checkpoint folder; without it random weights in the sizes that follow, and the "
                 "denoising loop alone");
  app.add_flag("--random-weights", random_weights,
               "Random weights in the sizes of --model: a checkpoint folder, or flux-dev for those "
               "of FLUX.1-dev (24 GB in bfloat16)");
  app.add_flag("--vae", options.vae, "Random weights: also decodes, by a VAE of FLUX's sizes");
  FluxConfig& config = options.config;
  app.add_option("--layers", config.num_layers, "Double blocks of random weights")
      ->capture_default_str();
  app.add_option("--single-layers", config.num_single_layers, "Single blocks")
      ->capture_default_str();
  app.add_option("--heads", config.num_attention_heads, "Attention heads")->capture_default_str();
  app.add_option("--axes", config.axes_dims_rope,
                 "Widths of the three rotary axes; their sum is the head's width")
      ->expected(3)
      ->delimiter(',');
}

void AddDeviceOptions(CLI::App& app, BenchOptions& options) {
  app.add_option("--device", options.device, "cpu, cuda or cuda:K")->capture_default_str();
  app.add_option(
         "--dtype", options.dtype,
         "float32, bfloat16 or float16; +fp8: linear layers in FP8; +fp8kv: cached keys and "
         "values too")
      ->check(CLI::IsMember(DtypeNames()));
  AddChoice<CudaKernels>(app, "--kernels", options.kernels,
                         "On CUDA: aten (default) or fused, our own",
                         {{"aten", CudaKernels::kAten}, {"fused", CudaKernels::kFused}});
  AddChoice<Gemm>(app, "--gemm", options.gemm,
                  "On CUDA: aten (default) or cublaslt, with bias and GELU in the GEMM",
                  {{"aten", Gemm::kAten}, {"cublaslt", Gemm::kCublasLt}});
  AddChoice<Fp8Accumulation>(
      app, "--fp8-accumulation", options.fp8_accumulation,
      "On CUDA, of FP8 products: exact (default) or fast",
      {{"exact", Fp8Accumulation::kExact}, {"fast", Fp8Accumulation::kFast}});
  AddChoice<Attention>(app, "--attention", options.attention,
                       "On CUDA: auto (default), or cudnn, flash or efficient alone, which fails "
                       "where that kernel cannot run; for random weights without --vae",
                       {{"auto", Attention::kAuto},
                        {"cudnn", Attention::kCudnn},
                        {"flash", Attention::kFlash},
                        {"efficient", Attention::kEfficient}});
  AddChoice<StepGraphs>(app, "--step-graphs", options.step_graphs,
                        "On CUDA, of steps that exchange nothing: off (default) or on",
                        {{"off", StepGraphs::kOff}, {"on", StepGraphs::kOn}});
  app.add_option("--threads", options.threads, "CPU threads of each rank")->capture_default_str();
}

void AddMeasurementOptions(CLI::App& app, BenchOptions& options) {
  app.add_option("--ranks", options.ranks, "Numbers of in-process ranks, such as 1,2")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  app.add_option("--emulate-ranks", options.emulate_ranks,
                 "Numbers of ranks, such as 2,4,8: times what each rank computes in a steady step, "
                 "one after another, nothing exchanged")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  app.add_flag("--profile", options.profile,
               "Also a steady step's time by class of kernel, of one rank and of emulated ones");
  app.add_option("--rounds", options.rounds, "Counted rounds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--json", options.json_path, "Also writes the figures to this file");
  app.add_option("--latents", options.latents_path,
                 "Also writes the final latents of the first number of ranks, as safetensors");
}

void AddRequestOptions(CLI::App& app, ImageRequest& request) {
  app.add_option("--width", request.width, "Pixels")->capture_default_str();
  app.add_option("--height", request.height, "Pixels")->capture_default_str();
  app.add_option("--steps", request.num_inference_steps, "Denoising steps")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--text-tokens", request.max_sequence_length, "T5 tokens")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--images", request.num_images, "Pictures of one request")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--sync-steps", request.sync_steps, "Leading exact steps")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--refresh-every", request.refresh_every, "Later exact steps; 0: none")
      ->capture_default_str();
  AddChoice<TextMode>(app, "--text-mode", request.text_mode, "split or replicated",
                      {{"split", TextMode::kSplit}, {"replicated", TextMode::kReplicated}});
}

// Finds out what --model means. Throws CLI::ValidationError.
void ResolveModel(BenchOptions& options, bool random_weights) {
  if (options.model.empty()) {
    options.config.attention_head_dim = 0;
    for (const int64_t axis : options.config.axes_dims_rope) {
      options.config.attention_head_dim += axis;
    }
  } else if (!random_weights) {
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

BenchOptions ParseBenchOptions(int argc, const char* const* argv) {
  BenchOptions options;
  options.arguments = absl::StrJoin(argv + 1, argv + argc, " ");
  options.config = DefaultSizes();
  ImageRequest& request = options.request;
  request.prompt = "a lighthouse on a cliff at dawn";
  request.width = request.height = 512;
  request.num_inference_steps = 8;
  request.max_sequence_length = 128;
  bool random_weights = false;

  CLI::App app(
      "Measures Tessera's engine: milliseconds per step, TFLOP/s, exchange, memory; several "
      "numbers of ranks in turn.");
  AddModelOptions(app, options, random_weights);
  AddDeviceOptions(app, options);
  AddMeasurementOptions(app, options);
  AddRequestOptions(app, request);
  try {
    app.parse(argc, argv);
    ResolveModel(options, random_weights);
  } catch (const CLI::Error& error) {
    std::exit(app.exit(error));
  }
  return options;
}

}  // namespace tessera
