#pragma once

#include <string>
#include <vector>

#include "worker/flux/flux_config.h"
#include "worker/kernels/kernel_choice.h"
#include "worker/pipeline/image_request.h"

namespace tessera {

// The command line of tessera-bench.
struct BenchOptions {
  std::string model_dir;  // empty: random weights of `config`, and the denoising loop alone
  FluxConfig config;
  std::string device = "cpu";
  std::string dtype;
  CudaKernels kernels = CudaKernels::kAten;
  int threads = 1;               // of each rank
  std::vector<int> ranks = {1};  // measured in turn, interleaved; ratios are over the first
  int rounds = 5;                // counted, after one to warm up
  ImageRequest request;
  std::string json_path;     // empty: none
  std::string latents_path;  // empty: none
};

// Exits with a message for --help and for a wrong command line.
BenchOptions ParseBenchOptions(int argc, char** argv);

}  // namespace tessera
