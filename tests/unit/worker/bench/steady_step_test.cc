#include "worker/bench/steady_step.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "worker/bench/emulated_ranks.h"

namespace tessera {
namespace {

class SteadyStepTest : public ::testing::Test {
 protected:
  SteadyStepTest() { at::manual_seed(3); }

  static FluxTransformer Transformer() {
    const FluxConfig config = {.num_layers = 2,
                               .num_single_layers = 2,
                               .num_attention_heads = 2,
                               .attention_head_dim = 12,
                               .in_channels = 8,
                               .out_channels = 8,
                               .joint_attention_dim = 16,
                               .pooled_projection_dim = 8,
                               .guidance_embeds = true,
                               .axes_dims_rope = {4, 4, 4}};
    return *FluxTransformer::Load(config, WeightReader::Random({}));
  }

  DenoiseJob Job(int64_t batch) const {
    const std::vector<float> timesteps = {900};
    return {.latents = at::randn({batch, 35, 8}),
            .positive = transformer_.Prepare(at::randn({1, 11, 16}), at::randn({1, 8}), timesteps,
                                             3.5, 5, 7),
            .negative = std::nullopt,
            .sigmas = {1, 0}};
  }

  const c10::InferenceMode inference_;
  const FluxTransformer transformer_ = Transformer();
};

// Against a cache of fresh rows a stale step is exact, so the chunks make up the whole.
TEST_F(SteadyStepTest, ChunksTogetherAreTheWholeStep) {
  for (const int64_t batch : {1, 2}) {
    SteadyStep step(transformer_, Job(batch));
    step.MeasureMs(1, 0, 2);
    const at::Tensor whole = step.velocity().clone();
    for (const int ranks : {2, 3, 5}) {
      for (int chunk = 0; chunk < ranks; ++chunk) step.MeasureMs(ranks, chunk, 1);
      EXPECT_TRUE(at::allclose(whole, step.velocity(), 1e-4, 1e-5)) << ranks << " ranks";
    }
  }
}

TEST_F(SteadyStepTest, ComputesItsChunkAlone) {
  SteadyStep step(transformer_, Job(1));
  const at::Tensor before = step.velocity().clone();
  const at::Tensor rows = step.velocity();  // the same memory
  rows.fill_(7);
  step.MeasureMs(3, 1, 1);
  EXPECT_TRUE(at::equal(rows.narrow(1, 0, 12), at::full({1, 12, 8}, 7)));
  EXPECT_TRUE(at::allclose(rows.narrow(1, 12, 12), before.narrow(1, 12, 12), 1e-4, 1e-5));
  EXPECT_TRUE(at::equal(rows.narrow(1, 24, 11), at::full({1, 11, 8}, 7)));
}

TEST_F(SteadyStepTest, EmulatedRanksHaveATimeForEveryChunk) {
  SteadyStep step(transformer_, Job(1));
  const std::vector<int> ranks = {2, 3};
  const std::vector<EmulatedRanks> emulated = EmulateRanks(step, ranks, 2, 1);
  ASSERT_EQ(emulated.size(), 2);
  for (size_t i = 0; i < ranks.size(); ++i) {
    const EmulatedRanks& e = emulated[i];
    EXPECT_EQ(e.ranks, ranks[i]);
    EXPECT_EQ(e.chunk_ms.size(), static_cast<size_t>(ranks[i]));
    EXPECT_GT(e.mean_ms, 0);
    EXPECT_GE(e.slowest_ms, e.mean_ms);
    EXPECT_GT(e.speedup, 0);
  }
}

}  // namespace
}  // namespace tessera
