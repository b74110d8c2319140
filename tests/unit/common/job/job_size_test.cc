#include "common/job/job_size.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

TEST(JobSizeTest, ReadsTheSizeOfARequest) {
  const ImageRequest request = {.width = 64,
                                .height = 128,
                                .num_inference_steps = 5,
                                .num_images = 2,
                                .max_sequence_length = 77,
                                .sync_steps = 2,
                                .refresh_every = 3,
                                .text_mode = TextMode::kReplicated};
  const JobSize size = SizeOf(request, /*size_multiple=*/32, /*ranks=*/3);
  EXPECT_EQ(size.width, 64);
  EXPECT_EQ(size.height, 128);
  EXPECT_EQ(size.images, 2);
  EXPECT_EQ(size.steps, 5);
  EXPECT_EQ(size.text_tokens, 77);
  EXPECT_EQ(size.image_tokens, 8);
  EXPECT_EQ(size.ranks, 3);
  EXPECT_FALSE(size.true_cfg);
  EXPECT_EQ(size.text_mode, TextMode::kReplicated);
  EXPECT_EQ(size.schedule.sync_steps, 2);
  EXPECT_EQ(size.schedule.refresh_every, 3);
}

TEST(JobSizeTest, TrueGuidanceNeedsAScaleAboveOneAndANegativePrompt) {
  ImageRequest request;
  request.true_cfg_scale = 4;
  EXPECT_FALSE(SizeOf(request, 16, 1).true_cfg);
  request.negative_prompt = "";
  EXPECT_TRUE(SizeOf(request, 16, 1).true_cfg);
  request.true_cfg_scale = 1;
  EXPECT_FALSE(SizeOf(request, 16, 1).true_cfg);
}

TEST(JobSizeTest, SizesDifferInEveryMember) {
  const JobSize size;
  EXPECT_EQ(size, JobSize());
  EXPECT_NE(size, JobSize{.width = 1});
  EXPECT_NE(size, JobSize{.text_mode = TextMode::kReplicated});
  EXPECT_NE(size, JobSize{.schedule = {.refresh_every = 1}});
}

}  // namespace
}  // namespace tessera
