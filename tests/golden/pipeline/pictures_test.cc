// The pictures of whole runs, by any number of ranks.

#include <gmock/gmock.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/golden/pipeline/pipeline_run.h"
#include "worker/vae/image.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using testing::InProcessGroup;
using testing::LoadPipeline;
using testing::RotatingRequest;
using testing::RunGroup;
using testing::TinyFluxDir;

using Results = std::vector<std::unique_ptr<absl::StatusOr<ImageResult>>>;

// Generates on `ranks` in-process ranks; on_last_step runs on each after its last step.
Results Generate(
    int ranks, const ImageRequest& request,
    const std::function<void(Communicator&)>& on_last_step = [](Communicator&) {}) {
  std::vector<std::unique_ptr<FluxPipeline>> pipelines;
  for (int rank = 0; rank < ranks; ++rank) pipelines.push_back(LoadPipeline(TinyFluxDir()));
  return RunRanks(InProcessGroup(ranks), [&](Communicator& communicator) {
    JobHooks hooks;
    hooks.on_step = [&](int step, int steps) {
      if (step + 1 == steps) on_last_step(communicator);
      return absl::OkStatus();
    };
    return std::make_unique<absl::StatusOr<ImageResult>>(
        pipelines[communicator.rank()]->Generate(request, communicator, hooks));
  });
}

// [height, width, 3]
at::Tensor PixelsOf(const std::string& picture, const ImageRequest& request) {
  at::Tensor pixels = at::empty({request.height, request.width, 3}, at::kByte);
  EXPECT_EQ(picture.size(), pixels.nbytes());
  std::copy_n(picture.begin(), std::min(picture.size(), pixels.nbytes()),
              pixels.mutable_data_ptr<uint8_t>());
  return pixels;
}

class PicturesTest : public ::testing::TestWithParam<int> {};

// One rank after its run decodes what all have computed, so only the split can differ.
TEST_P(PicturesTest, AreThoseOfTheFinalLatentsInOrder) {
  ImageRequest request = RotatingRequest();
  request.num_inference_steps = 3;
  request.num_images = 3;
  const Results results = Generate(GetParam(), request);
  for (const auto& result : results) ASSERT_TRUE(result->ok()) << result->status();
  const c10::InferenceMode inference;
  const at::Tensor expected = ToRgb8(
      LoadPipeline(TinyFluxDir())
          ->Decode(RunGroup(GetParam(), request).latents[-1], request.height, request.width));
  const std::vector<std::string>& pictures = (*results[0])->pictures;
  ASSERT_EQ(pictures.size(), 3U);
  int64_t differ = 0;
  for (int64_t i = 0; i < 3; ++i) {
    const at::Tensor difference =
        PixelsOf(pictures[i], request).to(at::kInt) - expected[i].to(at::kInt);
    EXPECT_LE(difference.abs().max().item<int>(), 1) << "picture " << i;
    differ += difference.ne(0).sum().item<int64_t>();
  }
  std::printf("| %d ranks, bytes that differ from one rank's decode | %ld of %ld |\n", GetParam(),
              differ, expected.numel());
  EXPECT_LE(differ, GetParam() == 1 ? 0 : expected.numel() / 1000);
  for (size_t rank = 1; rank < results.size(); ++rank) {
    EXPECT_TRUE((*results[rank])->pictures.empty());
  }
}

// 35 image tokens; 10 latent rows.
INSTANTIATE_TEST_SUITE_P(Ranks, PicturesTest, ::testing::Values(1, 2, 3, 12));

TEST(PicturesTest, ARankThatFailsInDecodeIsNamedWithTheStage) {
  ImageRequest request = RotatingRequest();
  request.num_inference_steps = 2;
  const Results results = Generate(3, request, [](Communicator& communicator) {
    if (communicator.rank() == 1) communicator.Abort(absl::InternalError("made to fail"));
  });
  for (const auto& result : results) {
    const std::string error = result->status().ToString();
    EXPECT_THAT(error, HasSubstr("vae_decode: "));
    EXPECT_THAT(error, HasSubstr("rank 1"));
  }
}

}  // namespace
}  // namespace tessera
