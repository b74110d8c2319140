#include "worker/bench/bench_options.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "common/model/checkpoint_folder.h"
#include "tests/support/flag_walk.h"
#include "tests/support/golden.h"

namespace tessera {
namespace {

BenchOptions Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "tessera-bench");
  return ParseBenchOptions(static_cast<int>(arguments.size()), arguments.data());
}

TEST(BenchOptionsTest, ModelAloneIsACheckpoint) {
  const BenchOptions options = Parse({"--model", "some/folder"});
  EXPECT_EQ(options.model_dir, "some/folder");
}

TEST(BenchOptionsTest, FluxDevWithRandomWeightsNeedsNoFiles) {
  const BenchOptions options = Parse({"--model", "flux-dev", "--random-weights"});
  EXPECT_EQ(options.model_dir, "");
  EXPECT_EQ(options.config.inner_dim(), 3072);
  EXPECT_EQ(options.config.attention_layers(), 57);
}

TEST(BenchOptionsTest, RandomWeightsTakeTheSizesOfACheckpoint) {
  const std::string dir = testing::TinyFluxDir();
  const BenchOptions options = Parse({"--model", dir.c_str(), "--random-weights"});
  EXPECT_EQ(options.model_dir, "");
  EXPECT_EQ(options.config.inner_dim(), ReadFluxConfig(CheckpointFolder(dir))->inner_dim());
}

TEST(BenchOptionsTest, WidthOfAHeadIsTheSumOfItsAxes) {
  EXPECT_EQ(Parse({"--axes", "4,6,8"}).config.attention_head_dim, 18);
}

TEST(BenchOptionsTest, NoFlagTakesAWrongValue) {
  BenchOptions options;
  CLI::App app("test");
  AddBenchFlags(app, options);
  EXPECT_GE(testing::FlagWalk(app, {}).Run(), 25);
}

TEST(BenchOptionsTest, ARankHasOneThreadUnlessToldOtherwise) {
  EXPECT_EQ(Parse({}).settings.threads, 1);
  EXPECT_EQ(Parse({"--threads=0100", "--dtype=bfloat16"}).settings.threads, 100);
}

TEST(BenchOptionsTest, AtenComputesUnlessToldOtherwise) {
  const BenchOptions options = Parse({});
  EXPECT_EQ(options.kernels.cuda_kernels, CudaKernels::kAten);
  EXPECT_EQ(options.kernels.gemm, Gemm::kAten);
  EXPECT_EQ(options.kernels.step_graphs, StepGraphs::kOff);
  EXPECT_EQ(options.kernels.fp8_accumulation, Fp8Accumulation::kExact);
  EXPECT_EQ(options.attention, Attention::kAuto);
}

TEST(BenchOptionsTest, EveryKernelHasItsName) {
  const BenchOptions options =
      Parse({"--kernels", "fused", "--step-graphs", "on", "--gemm", "cublaslt",
             "--fp8-accumulation", "fast", "--attention", "flash"});
  EXPECT_EQ(options.kernels.cuda_kernels, CudaKernels::kFused);
  EXPECT_EQ(options.kernels.gemm, Gemm::kCublasLt);
  EXPECT_EQ(options.kernels.step_graphs, StepGraphs::kOn);
  EXPECT_EQ(options.kernels.fp8_accumulation, Fp8Accumulation::kFast);
  EXPECT_EQ(options.attention, Attention::kFlash);
  EXPECT_EQ(Parse({"--attention", "cudnn"}).attention, Attention::kCudnn);
  EXPECT_EQ(Parse({"--attention", "efficient"}).attention, Attention::kEfficient);
}

TEST(BenchOptionsTest, ReportsCanTellTheArguments) {
  EXPECT_EQ(Parse({"--width", "64", "--ranks", "1,2"}).arguments, "--width 64 --ranks 1,2");
}

TEST(BenchOptionsDeathTest, AnUnknownKernelIsRefused) {
  EXPECT_EXIT(
      Parse({"--gemm", "cutlass"}), [](int status) { return status != 0; }, "--gemm");
}

TEST(BenchOptionsDeathTest, RandomWeightsOfAMissingFolderAreRefused) {
  EXPECT_EXIT(
      Parse({"--model", "no/such/folder", "--random-weights"}),
      [](int status) { return status != 0; }, "no/such/folder");
}

}  // namespace
}  // namespace tessera
