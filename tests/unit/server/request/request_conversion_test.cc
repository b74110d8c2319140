#include "server/request/request_conversion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/wire/link_conversion.h"
#include "tests/support/fake_worker.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;

TEST(RequestConversionTest, ReadsAndDescribesTheWorkersModel) {
  const absl::StatusOr<ModelInfo> model = FromLinkModel(testing::FakeModel());
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(model->fingerprint, "0123456789abcdef");
  EXPECT_EQ(model->limits.max_pixels, 4096LL * 4096);
  const v1::ModelDescription description = DescribeModel(*model);
  EXPECT_EQ(description.name(), "fake-flux");
  EXPECT_EQ(description.defaults().num_inference_steps(), 4);
  EXPECT_EQ(description.defaults().width(), 64);
  EXPECT_EQ(description.defaults().true_cfg_scale(), 1);
  EXPECT_EQ(description.defaults().num_images(), 1);
  EXPECT_FALSE(description.defaults().has_seed());
  EXPECT_FALSE(description.defaults().has_sync_steps());
  EXPECT_EQ(description.max_images(), 4);
}

TEST(RequestConversionTest, RefusesAModelThatMakesNoSense) {
  internal::v1::ModelInfo model = testing::FakeModel();
  model.set_size_multiple(0);
  EXPECT_THAT(FromLinkModel(model).status().message(), HasSubstr("model.size_multiple"));
  model = testing::FakeModel();
  model.clear_fingerprint();
  EXPECT_THAT(FromLinkModel(model).status().message(), HasSubstr("model.fingerprint"));
}

TEST(RequestConversionTest, BoundsTheReply) {
  v1::GenerateImageRequest effective;
  effective.set_width(1024);
  effective.set_height(1024);
  effective.set_num_images(1);
  const int64_t one = WorstCaseReplyBytes(effective);
  EXPECT_GT(one, 1024 * 1024 * 3);
  EXPECT_LT(one, 4 << 20);  // a client's default limit
  effective.set_num_images(2);
  EXPECT_GT(WorstCaseReplyBytes(effective), 2 * 1024 * 1024 * 3);
  effective.set_prompt(std::string(100'000, 'x'));
  EXPECT_GT(WorstCaseReplyBytes(effective), 2 * 1024 * 1024 * 3 + 3 * 100'000);
}

}  // namespace
}  // namespace tessera
