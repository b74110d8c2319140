#pragma once

#include <string>
#include <vector>

#include "common/flags/worker_settings.h"
#include "common/job/image_request.h"
#include "worker/flux/flux_config.h"
#include "worker/kernels/kernel_choice.h"

namespace CLI {
class App;
}  // namespace CLI

namespace tessera {

// The command line of tessera-bench.
struct BenchOptions {
  std::string arguments;  // all of them, for reports
  std::string model;      // as named on the command line, for reports
  bool random_weights = false;
  std::string model_dir;  // empty: random weights of `config`, and the denoising loop alone
  FluxConfig config;
  bool vae = false;  // random weights: also decodes, by a VAE of FLUX's sizes
  std::string device = "cpu";
  KernelChoice kernels;
  Attention attention = Attention::kAuto;
  WorkerSettings settings = {.threads = 1};  // dtype, and the threads of each rank
  std::vector<int> ranks = {1};  // measured in turn, interleaved; ratios are over the first
  int rounds = 5;                // counted, after one to warm up
  ImageRequest request;
  std::vector<int> emulate_ranks;  // see emulated_ranks.h
  bool profile = false;            // see step_profile.h
  std::string json_path;           // empty: none
  std::string latents_path;        // empty: none
};

// The sizes of FLUX.1-dev.
FluxConfig FluxDevSizes();

// Adds every flag to `app`; parsing `app` fills `options`, which must live as long.
void AddBenchFlags(CLI::App& app, BenchOptions& options);

// Exits with a message for --help and for a wrong command line.
BenchOptions ParseBenchOptions(int argc, const char* const* argv);

}  // namespace tessera
