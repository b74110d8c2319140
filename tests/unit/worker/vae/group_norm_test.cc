#include "worker/vae/group_norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <tuple>

namespace tessera {
namespace {

// [1, channels, height, width], channels-last.
at::Tensor Random(int64_t channels, int64_t height, int64_t width) {
  return at::randn({1, channels, height, width}).contiguous(at::MemoryFormat::ChannelsLast);
}

GroupNorm RandomNorm(int64_t channels, int64_t groups) {
  return {groups, at::randn({channels}), at::randn({channels})};
}

class GroupStatisticsTest : public ::testing::TestWithParam<at::ScalarType> {};

// Groups with a mean far from zero, where sums of squares in float32 would lose the variance.
TEST_P(GroupStatisticsTest, AreThoseOfTheGroups) {
  constexpr int64_t kChannels = 6;
  const at::Tensor x = (Random(kChannels, 7, 5) * 0.5 + 100).to(GetParam());
  const GroupStatistics statistics = MeasureGroups({x}, /*groups=*/2);
  const at::Tensor groups = x.to(at::kDouble).contiguous().view({2, -1});
  const at::Tensor mean = groups.mean(1).repeat_interleave(kChannels / 2);
  const at::Tensor variance = groups.var(1, /*unbiased=*/false).repeat_interleave(kChannels / 2);
  EXPECT_TRUE(at::allclose(statistics.mean.to(at::kDouble), mean, 1e-6, 0));
  EXPECT_TRUE(at::allclose(statistics.variance.to(at::kDouble), variance, 1e-6, 0));
  EXPECT_EQ(statistics.variance.scalar_type(), at::kFloat);
}

TEST_P(GroupStatisticsTest, DoNotDependOnWhereTheBandsAreCut) {
  const at::Tensor x = Random(12, 9, 11).to(GetParam());
  const GroupStatistics whole = MeasureGroups({x}, 4);
  for (const int64_t rows : {1, 2, 5}) {
    const GroupStatistics cut = MeasureGroups(x.split(rows, 2), 4);
    EXPECT_TRUE(at::equal(cut.mean, whole.mean)) << rows << " rows";
    EXPECT_TRUE(at::equal(cut.variance, whole.variance)) << rows << " rows";
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, GroupStatisticsTest,
                         ::testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         ::testing::PrintToStringParamName());

TEST(GroupStatisticsTest, AConstantHasNoVariance) {
  const at::Tensor x = at::full({1, 4, 3, 3}, 0.1F).contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_LE(MeasureGroups({x}, 2).variance.max().item<float>(), 1e-15F);
  EXPECT_GE(MeasureGroups({x}, 2).variance.min().item<float>(), 0.0F);
}

TEST(GroupNormTest, EqualsTheLibrarys) {
  const at::Tensor x = Random(12, 5, 7) * 3 + 1;
  const GroupNorm norm = RandomNorm(12, 3);
  const at::Tensor expected = at::group_norm(x, 3, norm.weight, norm.bias, 1e-6);
  EXPECT_TRUE(at::allclose(norm(x, MeasureGroups({x}, 3)), expected, 0, 1e-5));
}

// Channels, width: blocks of one and of many pixels, rows that do not fill a block.
class NormSiluKernelTest : public ::testing::TestWithParam<std::tuple<int64_t, int64_t, int>> {};

TEST_P(NormSiluKernelTest, EqualsItsTwin) {
  const auto& [channels, width, threads] = GetParam();
  const int before = at::get_num_threads();
  at::set_num_threads(threads);
  const GroupNorm norm = RandomNorm(channels, 1);
  const at::Tensor x = Random(channels, 40, width) * 4;
  const std::vector<at::Tensor> parts = x.split_with_sizes({1, 36, 3}, 2);
  const GroupStatistics statistics = MeasureGroups(parts, 1);
  const at::Tensor actual = NormSilu(norm, statistics, parts);
  const at::Tensor expected = reference::NormSilu(norm, statistics, parts);
  at::set_num_threads(before);
  EXPECT_EQ(actual.sizes(), x.sizes());
  EXPECT_TRUE(actual.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(at::allclose(actual, expected, 1e-5, 1e-6));
}

INSTANTIATE_TEST_SUITE_P(Shapes, NormSiluKernelTest,
                         ::testing::Combine(::testing::Values(1, 3, 8, 65, 512),
                                            ::testing::Values(1, 5, 64), ::testing::Values(1, 3)));

TEST(NormSiluKernelTest, HoldsOverTheWholeRange) {
  const GroupNorm unit = {1, at::ones({1}), at::zeros({1})};
  const GroupStatistics identity = {at::zeros({1}), at::ones({1})};
  const at::Tensor x = at::arange(-200, 200, 0.01, at::kFloat).view({1, 1, 1, -1});
  const at::Tensor expected = at::silu(x.to(at::kDouble) / std::sqrt(1 + 1e-6));
  EXPECT_TRUE(at::allclose(NormSilu(unit, identity, {x}).to(at::kDouble), expected, 1e-5, 1e-30));
}

TEST(NormSiluKernelTest, KeepsNaN) {
  const GroupNorm unit = {1, at::ones({1}), at::zeros({1})};
  const GroupStatistics identity = {at::zeros({1}), at::ones({1})};
  at::Tensor x = at::zeros({1, 1, 2, 50});
  x[0][0][1][7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(at::equal(at::isnan(NormSilu(unit, identity, {x})), at::isnan(x)));
}

}  // namespace
}  // namespace tessera
