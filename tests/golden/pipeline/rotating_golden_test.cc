#include "absl/strings/str_cat.h"
#include "common/plan/rotating_plan.h"
#include "tests/golden/pipeline/pipeline_run.h"
#include "worker/comm/single_communicator.h"

namespace tessera {
namespace {

using testing::Denoise;
using testing::DevRequest;
using testing::Golden;
using testing::InProcessGroup;
using testing::LoadPipeline;
using testing::MatchesGolden;
using testing::Prepare;
using testing::RotatingRequest;
using testing::RunGroup;
using testing::RunTrail;

TEST(RotatingGoldenTest, StartsFromTheSameNoise) {
  EXPECT_TRUE(MatchesGolden(
      "rot/start", Prepare(*LoadPipeline(testing::TinyFluxDir()), RotatingRequest()).latents));
}

TEST(RotatingGoldenTest, OneRankIsExact) {
  EXPECT_TRUE(MatchesGolden("rot/exact_steps", RunGroup(1, RotatingRequest()).latents));
}

TEST(RotatingGoldenTest, ChunkOfRank) {
  const at::Tensor golden = Golden("rot/chunk_of_rank");  // [N - 2][sync_steps - 1][step][rank]
  at::Tensor actual = at::full(golden.sizes(), -1, golden.options());
  for (int ranks = 2; ranks <= 4; ++ranks) {
    for (int sync_steps = 1; sync_steps <= 2; ++sync_steps) {
      const RotatingPlan plan({.ranks = ranks}, 8, {.sync_steps = sync_steps});
      for (int step = 0; step < 8; ++step) {
        for (int rank = 0; rank < ranks; ++rank) {
          actual[ranks - 2][sync_steps - 1][step][rank] = plan.ChunkOfRank(step, rank);
        }
      }
    }
  }
  EXPECT_TRUE(MatchesGolden("rot/chunk_of_rank", actual));
}

TEST(RotatingGoldenTest, ChunkSizes) {
  const at::Tensor golden = Golden("rot/chunk_sizes");  // [N - 2][image, text][chunk]
  at::Tensor actual = at::zeros_like(golden);
  for (int ranks = 2; ranks <= 4; ++ranks) {
    for (int chunk = 0; chunk < ranks; ++chunk) {
      actual[ranks - 2][0][chunk] = ChunkOf(35, ranks, chunk).size();
      actual[ranks - 2][1][chunk] = ChunkOf(50, ranks, chunk).size();
    }
  }
  EXPECT_TRUE(MatchesGolden("rot/chunk_sizes", actual));
}

struct Variant {
  int ranks, sync_steps, refresh_every;
  TextMode text_mode;
  std::string golden;
};

std::vector<Variant> GoldenVariants() {
  std::vector<Variant> variants;
  for (const auto& [mode, suffix] :
       {std::pair(TextMode::kSplit, "both"), std::pair(TextMode::kReplicated, "image")}) {
    for (int ranks = 2; ranks <= 4; ++ranks) {
      for (int sync = 1; sync <= 2; ++sync) {
        variants.push_back(
            {ranks, sync, 0, mode, absl::StrCat("n", ranks, "_sync", sync, "_", suffix)});
      }
    }
    variants.push_back({3, 1, 3, mode, absl::StrCat("n3_sync1_refresh3_", suffix)});
  }
  return variants;
}

class RotatingVariantTest : public ::testing::TestWithParam<Variant> {};

TEST_P(RotatingVariantTest, EqualsTheSimulation) {
  ImageRequest request = RotatingRequest();
  request.sync_steps = GetParam().sync_steps;
  request.refresh_every = GetParam().refresh_every;
  request.text_mode = GetParam().text_mode;
  const RunTrail trail = RunGroup(GetParam().ranks, request);
  EXPECT_TRUE(MatchesGolden("rot/" + GetParam().golden, trail.latents[-1]));
  if (GetParam().golden == "n3_sync1_both") {
    EXPECT_TRUE(MatchesGolden("rot/n3_sync1_both_velocity", trail.velocities));
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, RotatingVariantTest, ::testing::ValuesIn(GoldenVariants()),
                         [](const auto& test) { return test.param.golden; });

// (ranks, text mode): every step synchronised, by sync_steps or by refresh_every.
class SynchronisedTest : public ::testing::TestWithParam<std::tuple<int, TextMode>> {};

TEST_P(SynchronisedTest, IsExact) {
  ImageRequest request = RotatingRequest();
  request.text_mode = std::get<1>(GetParam());
  request.sync_steps = 8;
  EXPECT_TRUE(MatchesGolden("rot/exact", RunGroup(std::get<0>(GetParam()), request).latents[-1]));
  request.sync_steps = 1;
  request.refresh_every = 1;
  EXPECT_TRUE(MatchesGolden("rot/exact", RunGroup(std::get<0>(GetParam()), request).latents[-1]));
}

INSTANTIATE_TEST_SUITE_P(
    AnyRanks, SynchronisedTest,
    ::testing::Combine(::testing::Values(2, 3, 4, 7),
                       ::testing::Values(TextMode::kSplit, TextMode::kReplicated)),
    [](const auto& test) {
      return absl::StrCat("N", std::get<0>(test.param),
                          std::get<1>(test.param) == TextMode::kSplit ? "Split" : "Replicated");
    });

// Synchronised true CFG and batches equal their one-rank runs: each pass has caches of its own.
TEST(RotatingTest, TrueCfgAndBatchAreExactWhenSynchronised) {
  ImageRequest request = RotatingRequest();
  request.num_inference_steps = 3;
  request.negative_prompt = "blurry";
  request.true_cfg_scale = 3;
  request.num_images = 2;
  request.refresh_every = 1;
  const RunTrail exact = RunGroup(1, request);
  const RunTrail synchronised = RunGroup(3, request);
  EXPECT_LT((exact.latents - synchronised.latents).abs().max().item<double>(), 1e-4);
}

// As many ranks as image tokens, so that most text chunks are of one token or empty.
TEST(RotatingTest, AsManyRanksAsImageTokensIsExactWhenSynchronised) {
  ImageRequest request = DevRequest();
  request.width = 48;
  request.height = 64;
  request.num_inference_steps = 2;
  request.sync_steps = 2;
  request.max_sequence_length = 7;
  const RunTrail exact = RunGroup(1, request);
  const RunTrail synchronised = RunGroup(12, request);
  EXPECT_LT((exact.latents - synchronised.latents).abs().max().item<double>(), 1e-4);
}

// What a job leaves in the caches does not reach the next one.
TEST(RotatingTest, CachesAreNotReadAcrossJobs) {
  std::vector<std::unique_ptr<FluxPipeline>> pipelines;
  for (int rank = 0; rank < 3; ++rank) pipelines.push_back(LoadPipeline(testing::TinyFluxDir()));
  const auto group = InProcessGroup(3);
  const auto run = [&](uint64_t seed) {
    ImageRequest request = RotatingRequest();
    request.seed = seed;
    return RunRanks(group, [&](Communicator& communicator) {
      FluxPipeline& pipeline = *pipelines[communicator.rank()];
      return Denoise(pipeline, Prepare(pipeline, request), communicator).latents;
    })[0];
  };
  const at::Tensor first = run(7);
  EXPECT_FALSE(at::equal(run(8), first));
  EXPECT_TRUE(at::equal(run(7), first));
}

}  // namespace
}  // namespace tessera
