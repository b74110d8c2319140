#include "worker/vae/image.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/golden.h"

namespace tessera {
namespace {

TEST(ToRgb8Test, GivesTheGoldenPixelsOfGoldenImages) {
  for (const char* run :
       {"run/dev_64x64", "run/dev_96x128", "run/schnell_64x64", "run/cfg_64x64"}) {
    const at::Tensor pixels = ToRgb8(testing::Golden(std::string(run) + "/image"));
    EXPECT_TRUE(at::equal(pixels, testing::Golden(std::string(run) + "/pixels"))) << run;
  }
}

TEST(ToRgb8Test, GivesTheGoldenPixelsOfABfloat16Image) {
  EXPECT_TRUE(at::equal(ToRgb8(testing::GoldenBf16("run/dev_64x64/image")),
                        testing::GoldenBf16("run/dev_64x64/pixels")));
}

TEST(ToRgb8Test, PutsChannelsLast) {
  const at::Tensor image = at::arange(24).reshape({2, 3, 1, 4}).div(127.5).sub(1).to(at::kFloat);
  const at::Tensor pixels = ToRgb8(image);
  EXPECT_EQ(pixels.sizes(), at::IntArrayRef({2, 1, 4, 3}));
  EXPECT_TRUE(pixels.is_contiguous());
  EXPECT_EQ(pixels[1][0][2][1].item<int>(), 18);
}

class ToRgb8TypeTest : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(ToRgb8TypeTest, ClampsAndLeavesItsInputAlone) {
  const at::Tensor image = at::tensor({-7.0, 0.0, 7.0}).to(GetParam()).reshape({1, 3, 1, 1});
  const at::Tensor before = image.clone();
  // 0 is exactly between 127 and 128: half to even.
  EXPECT_TRUE(at::equal(ToRgb8(image).flatten(), at::tensor({0, 128, 255}, at::kByte)));
  EXPECT_TRUE(at::equal(image, before));
}

INSTANTIATE_TEST_SUITE_P(FloatTypes, ToRgb8TypeTest,
                         ::testing::Values(at::kFloat, at::kBFloat16, at::kHalf, at::kDouble));

}  // namespace
}  // namespace tessera
