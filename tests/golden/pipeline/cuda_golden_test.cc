#include "absl/strings/str_cat.h"
#include "tests/golden/pipeline/pipeline_run.h"
#include "tests/support/gpu.h"
#include "worker/comm/single_communicator.h"
#include "worker/kernels/kernel_choice.h"
#include "worker/vae/image.h"

namespace tessera {
namespace {

using testing::Denoise;
using testing::DevRequest;
using testing::LoadPipeline;
using testing::MatchesGolden;
using testing::Prepare;
using testing::RotatingRequest;
using testing::RunGroup;
using testing::RunSeries;
using testing::RunTrail;

struct Path {
  std::string name;
  KernelChoice kernels;
};

// The whole tiny pipeline on a GPU in float32, against what the CPU is held to.
class CudaGoldenTest : public ::testing::TestWithParam<Path> {
 protected:
  void SetUp() override {
    TESSERA_SKIP_WITHOUT_GPU();
    if (kernels().cuda_kernels == CudaKernels::kFused && !CudaKernelsBuilt()) {
      GTEST_SKIP() << "built without nvcc, so there are no CUDA kernels";
    }
  }
  static KernelChoice kernels() { return GetParam().kernels; }
};

TEST_P(CudaGoldenTest, Dev64x64) {
  const auto pipeline = LoadPipeline(testing::TinyFluxDir(), "float32", "cuda", kernels());
  SingleCommunicator communicator;
  const ImageRequest request = DevRequest();
  const RunTrail trail = Denoise(*pipeline, Prepare(*pipeline, request), communicator);
  EXPECT_TRUE(trail.latents.is_cuda());
  EXPECT_TRUE(MatchesGolden("run/dev_64x64/latents", trail.latents.cpu()));
  const c10::InferenceMode inference;
  const at::Tensor image = pipeline->Decode(trail.latents[-1], request.height, request.width);
  EXPECT_TRUE(MatchesGolden("run/dev_64x64/image", image.cpu()));
  EXPECT_TRUE(MatchesGolden("run/dev_64x64/pixels", ToRgb8(image)));
}

TEST_P(CudaGoldenTest, RotatingOverInProcessRanks) {
  for (int ranks = 2; ranks <= 3; ++ranks) {
    const RunTrail trail = RunGroup(ranks, RotatingRequest(), "cuda", kernels());
    const std::string golden = absl::StrCat("rot/n", ranks, "_sync1_both");
    EXPECT_TRUE(MatchesGolden(golden, trail.latents[-1].cpu())) << ranks << " ranks";
  }
}

TEST_P(CudaGoldenTest, SynchronisedRanksAreExact) {
  ImageRequest request = RotatingRequest();
  request.refresh_every = 1;
  for (int ranks = 1; ranks <= 3; ++ranks) {
    EXPECT_TRUE(
        MatchesGolden("rot/exact", RunGroup(ranks, request, "cuda", kernels()).latents[-1].cpu()))
        << ranks << " ranks";
  }
}

TEST_P(CudaGoldenTest, SameBytesTwice) {
  const at::Tensor first = RunGroup(3, RotatingRequest(), "cuda", kernels()).latents;
  EXPECT_TRUE(at::equal(first, RunGroup(3, RotatingRequest(), "cuda", kernels()).latents));
}

TEST_P(CudaGoldenTest, ReplayedStepsEqualPlainOnes) {
  std::vector<ImageRequest> requests(4, RotatingRequest());
  requests[0].width = 64;  // a larger size moves the cache and drops what was recorded
  requests[2].prompt = testing::Prompts()[10];
  requests[3].width = 96;
  requests.insert(requests.end(), requests.begin(), requests.end());
  for (int ranks = 1; ranks <= 3; ++ranks) {
    const auto plain = RunSeries(
        ranks, requests, [](int) { return nullptr; }, "cuda", KvStorage::kAsComputed, kernels());
    const auto recorder = [](int) {
      return MakeGraphRecorder(at::Device(at::kCUDA, 0), {.step_graphs = StepGraphs::kOn});
    };
    const auto replayed =
        RunSeries(ranks, requests, recorder, "cuda", KvStorage::kAsComputed, kernels());
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_TRUE(at::equal(plain[i], replayed[i])) << ranks << " ranks, run " << i;
    }
  }
}

TEST_P(CudaGoldenTest, Bfloat16IsNear) {
  const auto pipeline = LoadPipeline(testing::TinyFluxDir(), "bfloat16", "cuda", kernels());
  SingleCommunicator communicator;
  const RunTrail trail = Denoise(*pipeline, Prepare(*pipeline, DevRequest()), communicator);
  EXPECT_GE(
      testing::Psnr(testing::GoldenBf16("run/dev_64x64/latents")[-1], trail.latents[-1].cpu()),
      45.0);
}

INSTANTIATE_TEST_SUITE_P(
    Paths, CudaGoldenTest,
    ::testing::Values(Path{"Aten", {}}, Path{"Fused", {.cuda_kernels = CudaKernels::kFused}},
                      Path{"CublasLt",
                           {.cuda_kernels = CudaKernels::kFused, .gemm = Gemm::kCublasLt}}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tessera
