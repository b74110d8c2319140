#include "worker/sampling/true_cfg.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

TEST(TrueCfgTest, ExtrapolatesFromNegativeToPositive) {
  const at::Tensor negative = at::full({2}, 1.0F), positive = at::full({2}, 1.5F);
  EXPECT_TRUE(at::equal(CombineTrueCfg(negative, positive, 4.0), at::full({2}, 3.0F)));
}

TEST(TrueCfgTest, RoundsEachOperation) {
  const at::Tensor negative = at::full({1}, 1.6328125, at::kBFloat16);
  const at::Tensor positive = at::full({1}, -0.92578125, at::kBFloat16);
  const at::Tensor actual = CombineTrueCfg(negative, positive, 3.5);
  EXPECT_EQ(actual.scalar_type(), at::kBFloat16);
  // -7.3125 if only the result were rounded, -7.34375 if the product were not.
  EXPECT_EQ(actual.item<float>(), -7.375F);
}

}  // namespace
}  // namespace tessera
