#include "tests/support/tolerance.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace tessera::testing {
namespace {

struct Case {
  std::string name;
  std::string tolerance;
  std::vector<double> expected;
  std::vector<double> actual;
  bool within;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class CompareWithinTest : public ::testing::TestWithParam<Case> {};

TEST_P(CompareWithinTest, DecidesAsWorded) {
  const auto tensor = [](const std::vector<double>& values) {
    return at::tensor(values, at::kDouble);
  };
  const Case& c = GetParam();
  EXPECT_EQ(CompareWithin(c.tolerance, tensor(c.expected), tensor(c.actual)).within, c.within);
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
const char* const kLevels = "at most 1 level, in at most 1% of the bytes";

std::vector<double> Pixels(int changed, double by) {
  std::vector<double> pixels(200, 100.0);
  for (int i = 0; i < changed; ++i) pixels[i] += by;
  return pixels;
}

INSTANTIATE_TEST_SUITE_P(
    All, CompareWithinTest,
    ::testing::Values(Case{"ExactEqual", "exact", {1, 2}, {1, 2}, true},
                      Case{"ExactUnequal", "exact", {1, 2}, {1, 2.0000001}, false},
                      Case{"ExactNan", "exact (a permutation)", {1}, {kNan}, false},
                      Case{"AbsInside", "abs 1e-4", {1, 2}, {1.00009, 2}, true},
                      Case{"AbsOutside", "abs 1e-4", {1, 2}, {1, 2.00011}, false},
                      Case{"AbsNan", "abs 1e-4", {1, 2}, {1, kNan}, false},
                      Case{"AbsWithRemark", "abs 3e-4 (a remark)", {1}, {1.0002}, true},
                      Case{"RelInside", "rel 1e-3", {1000, 0}, {1000.9, 0}, true},
                      Case{"RelOutside", "rel 1e-3", {1000, 1}, {1000, 1.002}, false},
                      Case{"RelOfZero", "rel 1e-3", {0}, {1e-9}, false},
                      Case{"LevelsFew", kLevels, Pixels(0, 0), Pixels(2, 1), true},
                      Case{"LevelsMany", kLevels, Pixels(0, 0), Pixels(3, 1), false},
                      Case{"LevelsTwo", kLevels, Pixels(0, 0), Pixels(1, 2), false}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(ToleranceOfTest, ReadsTheTableOfEachFile) {
  EXPECT_EQ(ToleranceOf("golden", "net/out_t1.0_g3.5"), "abs 1e-4");
  EXPECT_EQ(ToleranceOf("golden", "run/dev_64x64/latents"), "abs 3e-4");
  EXPECT_EQ(ToleranceOf("golden_bf16", "run/dev_64x64/latents"), "at least 45 dB at the last step");
  EXPECT_EQ(ToleranceOf("golden_bf16", "text/t5"), "abs 0.07");
}

TEST(ToleranceOfDeathTest, EndsWithTheNameOfAnUnknownTensor) {
  EXPECT_DEATH(ToleranceOf("golden", "no/such"), "no/such");
}

}  // namespace
}  // namespace tessera::testing
