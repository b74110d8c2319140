#include "tests/support/golden.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "tests/support/tolerance.h"
#include "worker/weights/safetensors_file.h"

namespace tessera::testing {
namespace {

TEST(GoldenTest, EveryTensorMatchesItself) {
  for (const char* name : {"golden", "golden_bf16"}) {
    const auto file = SafetensorsFile::Open(ReferenceDir() + "/golden/" + name + ".safetensors");
    ASSERT_TRUE(file.ok()) << file.status();
    for (const auto& [tensor, entry] : file->tensors()) {
      const std::string tolerance = ToleranceOf(name, tensor);
      if (tolerance == "none") continue;
      const at::Tensor value = file->Read(tensor).value();
      EXPECT_TRUE(CompareWithin(tolerance, value, value).within) << tensor;
    }
  }
}

TEST(GoldenTest, ReadsSeveralPrompts) {
  ASSERT_GT(Prompts().size(), 5);
  EXPECT_EQ(Prompts()[1], "");
}

TEST(GoldenDeathTest, EndsWithTheNameOfAMissingTensor) {
  EXPECT_DEATH(Golden("no/such"), "no/such");
}

TEST(MatchesGoldenTest, SeesADifference) {
  const at::Tensor golden = Golden("net/out_t1.0_g3.5");
  EXPECT_TRUE(MatchesGolden("net/out_t1.0_g3.5", golden + 0.9e-4));
  EXPECT_FALSE(MatchesGolden("net/out_t1.0_g3.5", golden + 1.1e-4));
}

TEST(MatchesGoldenTest, RefusesAnotherShape) {
  EXPECT_FALSE(MatchesGolden("net/out_t1.0_g3.5", Golden("net/out_t1.0_g3.5").flatten()));
  EXPECT_FALSE(MatchesGolden("net/out_t1.0_g3.5", at::Tensor()));
}

TEST(MatchesGoldenTest, ComparesASlice) {
  const at::Tensor latents = Golden("run/dev_64x64/latents");
  EXPECT_TRUE(MatchesGolden("run/dev_64x64/latents", latents[3], latents[3]));
  EXPECT_FALSE(MatchesGolden("run/dev_64x64/latents", latents[3], latents[4]));
}

TEST(MatchesGoldenBf16Test, AsksForThePsnrOfTheReadme) {
  const at::Tensor latents = GoldenBf16("run/dev_64x64/latents").to(at::kFloat);
  const double range = (latents[-1].max() - latents[-1].min()).item<double>();
  const double error_at_45_db = range * std::pow(10, -45.0 / 20);
  EXPECT_TRUE(MatchesGoldenBf16("run/dev_64x64/latents", latents + 0.99 * error_at_45_db));
  EXPECT_FALSE(MatchesGoldenBf16("run/dev_64x64/latents", latents + 1.01 * error_at_45_db));
}

TEST(PsnrTest, TakesTheRangeOfTheExpectedValuesAsPeak) {
  const at::Tensor expected = at::tensor({-2.0, 2.0});
  EXPECT_NEAR(Psnr(expected, expected + 0.4), 20.0, 1e-9);
  EXPECT_TRUE(std::isinf(Psnr(expected, expected)));
}

}  // namespace
}  // namespace tessera::testing
