#include "tests/golden/pipeline/fp8_checkpoints.h"
#include "tests/golden/pipeline/pipeline_run.h"

namespace tessera {
namespace {

using testing::Checkpoint;
using testing::InProcessGroup;
using testing::LoadPipeline;
using testing::RotatingRequest;

struct Outcome {
  at::Tensor latents;  // after each step
  int64_t cache_bytes;
};

Outcome RunOn(const Checkpoint& checkpoint, int ranks, const ImageRequest& request,
              const std::string& dtype) {
  std::vector<std::unique_ptr<FluxPipeline>> pipelines;
  for (int rank = 0; rank < ranks; ++rank) {
    pipelines.push_back(LoadPipeline(checkpoint.dir, dtype));
  }
  const auto group = InProcessGroup(ranks);
  return RunRanks(group, [&](Communicator& communicator) {
    FluxPipeline& pipeline = *pipelines[communicator.rank()];
    const at::Tensor latents =
        testing::Denoise(pipeline, testing::Prepare(pipeline, request), communicator).latents;
    return Outcome{latents, pipeline.denoiser().cache_bytes()};
  })[0];
}

class Fp8KvTest : public ::testing::TestWithParam<Checkpoint> {
 protected:
  at::Tensor Latents(int ranks, const ImageRequest& request, const std::string& dtype) {
    return RunOn(GetParam(), ranks, request, dtype).latents;
  }
};

// Prints a table.
TEST_P(Fp8KvTest, StaleStepsStayNear) {
  for (int ranks = 2; ranks <= 4; ++ranks) {
    for (const int refresh : {0, 4}) {
      ImageRequest request = GetParam().request;
      request.refresh_every = refresh;
      const at::Tensor expected = Latents(ranks, request, "float32")[-1];
      const at::Tensor actual = Latents(ranks, request, "float32+fp8kv")[-1];
      EXPECT_FALSE(at::equal(expected, actual));
      const double psnr = testing::Psnr(expected, actual);
      std::printf("| %s | N = %d, refresh_every %d | %.1f dB |\n", GetParam().name.c_str(), ranks,
                  refresh, psnr);
      EXPECT_GE(psnr, 45) << ranks << " ranks, refresh_every " << refresh;
    }
  }
}

TEST_P(Fp8KvTest, SyncStepsStayExact) {
  ImageRequest request = GetParam().request;
  request.sync_steps = 3;
  for (int ranks = 2; ranks <= 3; ++ranks) {
    const at::Tensor expected = Latents(ranks, request, "float32");
    const at::Tensor actual = Latents(ranks, request, "float32+fp8kv");
    EXPECT_TRUE(at::equal(expected.narrow(0, 0, 3), actual.narrow(0, 0, 3))) << ranks << " ranks";
    EXPECT_FALSE(at::equal(expected[3], actual[3])) << ranks << " ranks";
  }
}

TEST_P(Fp8KvTest, SameBytesTwice) {
  const at::Tensor first = Latents(3, GetParam().request, "bfloat16+fp8+fp8kv");
  EXPECT_TRUE(at::equal(first, Latents(3, GetParam().request, "bfloat16+fp8+fp8kv")));
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, Fp8KvTest,
                         ::testing::ValuesIn(testing::Checkpoints(RotatingRequest())),
                         [](const auto& test) { return test.param.name; });

TEST(Fp8KvCacheTest, TakesLittleMoreThanHalfOfBfloat16sMemory) {
  const Checkpoint shapes = testing::Checkpoints(RotatingRequest())[1];
  const auto bytes = [&](const std::string& dtype) {
    return static_cast<double>(RunOn(shapes, 2, shapes.request, dtype).cache_bytes);
  };
  // Six layers of heads 32 wide: 36 bytes for 64, and one layer as computed.
  EXPECT_NEAR(bytes("bfloat16+fp8kv") / bytes("bfloat16"), 36.0 / 64 + 1.0 / 6, 1e-9);
}

}  // namespace
}  // namespace tessera
