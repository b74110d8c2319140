#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "worker/flux/rope.h"
#include "worker/flux/time_text_embedding.h"

namespace tessera {
namespace {

using testing::Golden;
using testing::GoldenBf16;
using testing::MatchesGolden;

// diffusers repeats each angle for the two features it turns.
at::Tensor Repeated(const at::Tensor& half) { return half.repeat_interleave(2, 1); }

TEST(RopeGoldenTest, TableOfATinyRun) {
  const FluxConfig config = {.axes_dims_rope = {4, 10, 10}};
  const RopeTable table = BuildRopeTable(config, 50, 4, 4, at::kCPU);
  EXPECT_TRUE(MatchesGolden("rope/tiny_cos", Repeated(table.cos)));
  EXPECT_TRUE(MatchesGolden("rope/tiny_sin", Repeated(table.sin)));
}

TEST(RopeGoldenTest, PositionsOfThePublishedModels) {
  const RopeTable table = RopeFromIds(Golden("rope/real_ids"), {16, 56, 56});
  EXPECT_TRUE(MatchesGolden("rope/real_cos", Repeated(table.cos)));
  EXPECT_TRUE(MatchesGolden("rope/real_sin", Repeated(table.sin)));
}

TEST(EmbeddingsGoldenTest, Sinusoid) {
  EXPECT_TRUE(MatchesGolden("embed/sinusoid_out", Sinusoid(Golden("embed/sinusoid_in"))));
}

TEST(EmbeddingsGoldenTest, TimestepsAreRoundedAsABfloat16PipelineRoundsThem) {
  const at::Tensor rounded = RoundedTimesteps(GoldenBf16("embed/timestep_in"), at::kBFloat16);
  EXPECT_TRUE(at::equal(rounded, GoldenBf16("embed/timestep_out")));
}

TEST(EmbeddingsGoldenTest, GuidanceIsRoundedAsABfloat16PipelineRoundsIt) {
  const at::Tensor rounded = RoundedGuidance(at::tensor({1.0f, 3.5f, 7.0f, 30.0f}), at::kBFloat16);
  EXPECT_TRUE(at::equal(rounded, GoldenBf16("embed/guidance_out")));
}

}  // namespace
}  // namespace tessera
