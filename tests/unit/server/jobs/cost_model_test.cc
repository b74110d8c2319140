#include "server/jobs/cost_model.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

JobSize Size(int side, int steps) {
  return {.width = side,
          .height = side,
          .steps = steps,
          .text_tokens = 512,
          .image_tokens = int64_t{side / 16} * (side / 16)};
}

internal::v1::JobReport Report(double text_encode_s, double denoise_s) {
  internal::v1::JobReport report;
  report.set_text_encode_s(text_encode_s);
  report.set_denoise_s(denoise_s);
  return report;
}

const TimePoint kNow = TimePoint(std::chrono::hours(1));

TEST(CostModelTest, PredictsNothingBeforeAMeasurement) {
  EXPECT_FALSE(CostModel().Predict(Size(1024, 28), kNow).has_value());
}

TEST(CostModelTest, PredictsTheMeasuredShapeForAnyNumberOfSteps) {
  CostModel costs;
  costs.Record(Size(1024, 10), Report(1, 20), 24, kNow);
  const auto prediction = costs.Predict(Size(1024, 5), kNow);
  ASSERT_TRUE(prediction.has_value());
  EXPECT_DOUBLE_EQ(prediction->step_s, 2);
  EXPECT_DOUBLE_EQ(prediction->finish_s, 3);
  EXPECT_DOUBLE_EQ(prediction->total_s, 1 + 5 * 2 + 3);
}

TEST(CostModelTest, IsCertainOfTheFastestAfterTwoRunsAndForTenMinutes) {
  CostModel costs;
  costs.Record(Size(512, 10), Report(1, 50), 60, kNow);
  EXPECT_FALSE(costs.Predict(Size(512, 10), kNow)->fastest_s.has_value());
  costs.Record(Size(512, 10), Report(2, 20), 25, kNow);
  ASSERT_TRUE(costs.Predict(Size(512, 5), kNow)->fastest_s.has_value());
  EXPECT_DOUBLE_EQ(*costs.Predict(Size(512, 5), kNow)->fastest_s, 1 + 5 * 2 + 3);
  EXPECT_TRUE(costs.Predict(Size(512, 5), kNow + Seconds(600))->fastest_s.has_value());
  EXPECT_FALSE(costs.Predict(Size(512, 5), kNow + Seconds(601))->fastest_s.has_value());
}

TEST(CostModelTest, ScalesToOtherShapesWithoutBeingCertain) {
  CostModel costs;
  for (int i = 0; i < 2; ++i) costs.Record(Size(512, 10), Report(1, 10), 12, kNow);
  const auto larger = costs.Predict(Size(1024, 10), kNow);
  ASSERT_TRUE(larger.has_value());
  EXPECT_FALSE(larger->fastest_s.has_value());
  EXPECT_DOUBLE_EQ(larger->finish_s, 4);  // as the pixels
  // Rows grow from 1536 to 4608; the square term makes it more than threefold.
  EXPECT_GT(larger->step_s, 3);
  EXPECT_LT(larger->step_s, 9);
}

TEST(CostModelTest, TrueGuidanceCostsTwoPasses) {
  CostModel costs;
  costs.Record(Size(512, 10), Report(0, 10), 10, kNow);
  JobSize guided = Size(512, 10);
  guided.true_cfg = true;
  EXPECT_DOUBLE_EQ(costs.Predict(guided, kNow)->step_s, 2);
}

TEST(CostModelTest, FollowsWhatItMeasures) {
  CostModel costs;
  costs.Record(Size(512, 1), Report(0, 2), 2, kNow);
  for (int i = 0; i < 30; ++i) costs.Record(Size(512, 1), Report(0, 6), 6, kNow);
  EXPECT_NEAR(costs.Predict(Size(512, 1), kNow)->step_s, 6, 1e-3);
}

TEST(CostModelTest, ForgetsOnDemand) {
  CostModel costs;
  costs.Record(Size(512, 1), Report(0, 2), 2, kNow);
  costs.Forget();
  EXPECT_FALSE(costs.Predict(Size(512, 1), kNow).has_value());
}

}  // namespace
}  // namespace tessera
