#include "worker/sampling/latents.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "worker/sampling/noise.h"

namespace tessera {
namespace {

TEST(LatentShapeTest, RoundsDownToWholeTokens) {
  const LatentShape shape = LatentShapeOf(/*width=*/75, /*height=*/100, /*channels=*/16,
                                          /*pixel_scale=*/8);
  EXPECT_EQ(shape.width, 8);
  EXPECT_EQ(shape.height, 12);
  EXPECT_EQ(shape.tokens(), 24);
  EXPECT_EQ(shape.features(), 64);
}

TEST(LatentShapeTest, FollowsThePixelScale) {
  const LatentShape shape = LatentShapeOf(64, 32, 4, 4);
  EXPECT_EQ(shape.width, 16);
  EXPECT_EQ(shape.height, 8);
}

TEST(PackLatentsTest, PutsEachCellIntoOneToken) {
  const at::Tensor latents = DrawNoise({2, 3, 4, 6}, at::kFloat, 1);
  const at::Tensor tokens = PackLatents(latents);
  ASSERT_EQ(tokens.sizes(), (at::IntArrayRef{2, 6, 12}));
  for (int64_t channel = 0; channel < 3; ++channel) {
    for (int64_t y = 0; y < 4; ++y) {
      for (int64_t x = 0; x < 6; ++x) {
        const int64_t token = (y / 2) * 3 + x / 2;
        const int64_t feature = 4 * channel + 2 * (y % 2) + x % 2;
        EXPECT_EQ(tokens[1][token][feature].item<float>(), latents[1][channel][y][x].item<float>());
      }
    }
  }
}

TEST(PackLatentsTest, UnpackIsItsInverse) {
  const LatentShape shape = LatentShapeOf(112, 80, 5, 8);
  const at::Tensor latents =
      DrawNoise({3, shape.channels, shape.height, shape.width}, at::kFloat, 1);
  EXPECT_TRUE(at::equal(UnpackLatents(PackLatents(latents), shape), latents));
}

class NoiseTest : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(NoiseTest, ABatchContinuesTheStreamOfTheSinglePicture) {
  const LatentShape shape = LatentShapeOf(64, 48, 16, 8);
  const at::Tensor one = InitialLatents(shape, 1, GetParam(), 7);
  const at::Tensor three = InitialLatents(shape, 3, GetParam(), 7);
  EXPECT_EQ(one.scalar_type(), GetParam());
  EXPECT_EQ(three.sizes(), (at::IntArrayRef{3, 12, 64}));
  EXPECT_TRUE(at::equal(three.narrow(0, 0, 1), one));
  EXPECT_FALSE(at::equal(three[0], three[1]));
}

TEST_P(NoiseTest, OnlyTheLowHalfOfTheSeedCounts) {
  const at::Tensor noise = DrawNoise({64}, GetParam(), 42);
  EXPECT_TRUE(at::equal(DrawNoise({64}, GetParam(), (uint64_t{7} << 32) + 42), noise));
  EXPECT_FALSE(at::equal(DrawNoise({64}, GetParam(), 43), noise));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, NoiseTest, ::testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         ::testing::PrintToStringParamName());

}  // namespace
}  // namespace tessera
