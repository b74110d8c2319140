#pragma once

#include <string>
#include <vector>

#include "common/job/image_request.h"
#include "worker/flux/flux_config.h"
#include "worker/kernels/kernel_choice.h"

namespace tessera {

// The command line of tessera-bench.
struct BenchOptions {
  std::string arguments;  // all of them, for reports
  std::string model;      // as named on the command line, for reports
  std::string model_dir;  // empty: random weights of `config`, and the denoising loop alone
  FluxConfig config;
  bool vae = false;  // random weights: also decodes, by a VAE of FLUX's sizes
  std::string device = "cpu";
  std::string dtype;
  KernelChoice kernels;
  Attention attention = Attention::kAuto;
  int threads = 1;               // of each rank
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

// Exits with a message for --help and for a wrong command line.
BenchOptions ParseBenchOptions(int argc, const char* const* argv);

}  // namespace tessera
