#include "worker/bench/bench_options.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <map>

namespace tessera {

BenchOptions ParseBenchOptions(int argc, char** argv) {
  BenchOptions options;
  ImageRequest& request = options.request;
  request.prompt = "a lighthouse on a cliff at dawn";
  request.width = request.height = 512;
  request.num_inference_steps = 8;
  request.max_sequence_length = 128;
  FluxConfig& config = options.config;
  config = {.num_layers = 4,
            .num_single_layers = 8,
            .num_attention_heads = 8,
            .attention_head_dim = 64,
            .in_channels = 64,
            .out_channels = 64,
            .joint_attention_dim = 512,
            .pooled_projection_dim = 256,
            .guidance_embeds = true,
            .axes_dims_rope = {8, 28, 28}};
  bool flux_dev = false;

  CLI::App app(
      "Measures Tessera's engine: milliseconds per step, GFLOP/s, exchange, memory; several "
      "numbers of ranks in turn.");
  app.add_option("--model", options.model_dir,
                 "Checkpoint folder; without it random weights and the denoising loop alone");
  app.add_flag("--flux-dev", flux_dev,
               "Random weights in the sizes of FLUX.1-dev (24 GB in bfloat16)");
  app.add_option("--layers", config.num_layers, "Double blocks of random weights")
      ->capture_default_str();
  app.add_option("--single-layers", config.num_single_layers, "Single blocks")
      ->capture_default_str();
  app.add_option("--heads", config.num_attention_heads, "Attention heads")->capture_default_str();
  app.add_option("--axes", config.axes_dims_rope,
                 "Widths of the three rotary axes; their sum is the head's width")
      ->expected(3)
      ->delimiter(',');
  app.add_option("--device", options.device, "cpu, cuda or cuda:K")->capture_default_str();
  app.add_option("--dtype", options.dtype, "float32, bfloat16 or float16");
  app.add_option("--kernels", options.kernels, "On CUDA: aten (default) or fused, our own")
      ->transform(CLI::CheckedTransformer(std::map<std::string, CudaKernels>{
          {"aten", CudaKernels::kAten}, {"fused", CudaKernels::kFused}}));
  app.add_option("--threads", options.threads, "CPU threads of each rank")->capture_default_str();
  app.add_option("--ranks", options.ranks, "Numbers of in-process ranks, such as 1,2")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  app.add_option("--rounds", options.rounds, "Counted rounds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
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
  app.add_option("--text-mode", request.text_mode, "split or replicated")
      ->transform(CLI::CheckedTransformer(std::map<std::string, TextMode>{
          {"split", TextMode::kSplit}, {"replicated", TextMode::kReplicated}}));
  app.add_option("--json", options.json_path, "Also writes the figures to this file");
  app.add_option("--latents", options.latents_path,
                 "Also writes the final latents of the first number of ranks, as safetensors");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }

  if (flux_dev) {
    config = {.num_layers = 19,
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
  config.attention_head_dim = 0;
  for (const int64_t axis : config.axes_dims_rope) config.attention_head_dim += axis;
  return options;
}

}  // namespace tessera
