#include "server/request/request_conversion.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "common/wire/link_conversion.h"
#include "tests/support/fake_worker.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;

TEST(RequestConversionTest, HandsEveryFieldToTheWorkers) {
  v1::GenerateImageRequest effective;
  effective.set_prompt("a");
  effective.set_prompt_2("b");
  effective.set_negative_prompt("c");
  effective.set_negative_prompt_2("d");
  effective.set_true_cfg_scale(2);
  effective.set_num_inference_steps(3);
  effective.set_guidance_scale(4);
  effective.set_num_images(5);
  effective.set_max_sequence_length(6);
  effective.set_width(16);
  effective.set_height(32);
  effective.set_seed(1ULL << 40);
  effective.set_sync_steps(7);
  effective.set_refresh_every(8);
  effective.set_text_mode(v1::TEXT_MODE_REPLICATED);

  internal::v1::ImageRequest expected;
  expected.set_prompt("a");
  expected.set_prompt_2("b");
  expected.set_negative_prompt("c");
  expected.set_negative_prompt_2("d");
  expected.set_true_cfg_scale(2);
  expected.set_num_inference_steps(3);
  expected.set_guidance_scale(4);
  expected.set_num_images(5);
  expected.set_max_sequence_length(6);
  expected.set_width(16);
  expected.set_height(32);
  expected.set_seed(1ULL << 40);
  expected.set_sync_steps(7);
  expected.set_refresh_every(8);
  expected.set_replicate_text(true);
  EXPECT_TRUE(
      google::protobuf::util::MessageDifferencer::Equals(ToLinkRequest(effective), expected));
}

TEST(RequestConversionTest, LeavesAbsentTextsAbsent) {
  const internal::v1::ImageRequest request = ToLinkRequest(v1::GenerateImageRequest());
  EXPECT_FALSE(request.has_prompt_2());
  EXPECT_FALSE(request.has_negative_prompt());
  EXPECT_FALSE(request.has_negative_prompt_2());
}

TEST(RequestConversionTest, ReadsAndDescribesTheWorkersModel) {
  const absl::StatusOr<ModelInfo> model = FromLinkModel(testing::FakeModel());
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(model->fingerprint, "0123456789abcdef");
  EXPECT_EQ(model->limits.max_pixels, 4096LL * 4096);
  const v1::ModelDescription description = DescribeModel(*model);
  EXPECT_EQ(description.name(), "fake-flux");
  EXPECT_EQ(description.defaults().num_inference_steps(), 4);
  EXPECT_EQ(description.defaults().width(), 64);
  EXPECT_FALSE(description.defaults().has_seed());
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

TEST(RequestConversionTest, ReadsTheSizeOfARequest) {
  v1::GenerateImageRequest effective;
  effective.set_width(64);
  effective.set_height(128);
  effective.set_num_images(2);
  effective.set_num_inference_steps(5);
  effective.set_max_sequence_length(77);
  effective.set_sync_steps(1);
  effective.set_negative_prompt("");
  effective.set_true_cfg_scale(1);
  JobSize size = SizeOf(effective, /*size_multiple=*/32, /*ranks=*/3);
  EXPECT_EQ(size.width, 64);
  EXPECT_EQ(size.height, 128);
  EXPECT_EQ(size.images, 2);
  EXPECT_EQ(size.steps, 5);
  EXPECT_EQ(size.text_tokens, 77);
  EXPECT_EQ(size.image_tokens, 8);
  EXPECT_EQ(size.ranks, 3);
  EXPECT_FALSE(size.true_cfg);
  EXPECT_EQ(size.text_mode, TextMode::kSplit);
  EXPECT_EQ(size.schedule, (StepSchedule{.sync_steps = 1, .refresh_every = 0}));
  effective.set_true_cfg_scale(2);
  effective.set_text_mode(v1::TEXT_MODE_REPLICATED);
  effective.set_refresh_every(1);
  size = SizeOf(effective, 32, 3);
  EXPECT_TRUE(size.true_cfg);
  EXPECT_EQ(size.text_mode, TextMode::kReplicated);
  EXPECT_EQ(size.schedule, (StepSchedule{.sync_steps = 1, .refresh_every = 1}));
  effective.set_refresh_every(0);
  effective.set_sync_steps(5);
  EXPECT_EQ(SizeOf(effective, 32, 3).schedule.sync_steps, 5);
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
