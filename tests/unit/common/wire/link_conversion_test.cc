#include "common/wire/link_conversion.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "tests/unit/worker/link/commands.h"

namespace tessera {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

TEST(PixelChunksTest, AreCutAtOneMebibyte) {
  const std::string pixels = std::string(kMiB, 'a') + std::string(kMiB, 'b') + "c";
  const auto chunks = MakePixelChunks(Key("j", 1, 2), {pixels, "d"});
  ASSERT_EQ(chunks.size(), 4u);
  EXPECT_EQ(chunks[0].data() + chunks[1].data() + chunks[2].data(), pixels);
  EXPECT_EQ(chunks[0].data().size(), kMiB);
  EXPECT_EQ(chunks[2].data(), "c");
  EXPECT_EQ(chunks[3].data(), "d");
  for (int i : {0, 1, 2}) EXPECT_EQ(chunks[i].image_index(), 0);
  EXPECT_EQ(chunks[3].image_index(), 1);
  EXPECT_EQ(chunks[3].key().SerializeAsString(), Key("j", 1, 2).SerializeAsString());
}

TEST(PixelChunksTest, AWholeNumberOfMebibytesEndsWithoutAnEmptyChunk) {
  EXPECT_EQ(MakePixelChunks(Key("j", 1, 2), {std::string(2 * kMiB, 'a')}).size(), 2u);
}

TEST(LinkMessagesTest, AStageArrivesUnlessTheServerAloneKnowsIt) {
  for (const JobStage stage :
       {JobStage::kMemoryPlan, JobStage::kTextEncode, JobStage::kDenoise, JobStage::kVaeDecode}) {
    EXPECT_EQ(FromProto(ToProto(stage)), stage);
  }
  EXPECT_EQ(FromProto(ToProto(JobStage::kQueue)), std::nullopt);
  EXPECT_EQ(FromProto(ToProto(JobStage::kPng)), std::nullopt);
  EXPECT_EQ(FromProto(static_cast<internal::v1::JobStage>(99)), std::nullopt);
}

TEST(LinkMessagesTest, ARequestArrivesWithEveryField) {
  v1::GenerateImageRequest message;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(R"pb(
                                                              prompt: "a"
                                                              prompt_2: "b"
                                                              negative_prompt: ""
                                                              negative_prompt_2: "d"
                                                              true_cfg_scale: 2.5
                                                              width: 96
                                                              height: 128
                                                              num_inference_steps: 7
                                                              guidance_scale: 4.5
                                                              num_images: 3
                                                              max_sequence_length: 77
                                                              seed: 18446744073709551615
                                                              sync_steps: 2
                                                              refresh_every: 5
                                                              text_mode: TEXT_MODE_REPLICATED)pb",
                                                            &message));
  const ImageRequest request = FromProto(message);
  EXPECT_EQ(request.prompt, "a");
  EXPECT_EQ(request.prompt_2, "b");
  EXPECT_EQ(request.negative_prompt, "");
  EXPECT_EQ(request.negative_prompt_2, "d");
  EXPECT_EQ(request.true_cfg_scale, 2.5);
  EXPECT_EQ(request.width, 96);
  EXPECT_EQ(request.height, 128);
  EXPECT_EQ(request.num_inference_steps, 7);
  EXPECT_EQ(request.guidance_scale, 4.5);
  EXPECT_EQ(request.num_images, 3);
  EXPECT_EQ(request.max_sequence_length, 77);
  EXPECT_EQ(request.seed, 18446744073709551615u);
  EXPECT_EQ(request.sync_steps, 2);
  EXPECT_EQ(request.refresh_every, 5);
  EXPECT_EQ(request.text_mode, TextMode::kReplicated);
}

TEST(LinkMessagesTest, WhatARequestLeavesOutStaysAbsent) {
  const ImageRequest request = FromProto(v1::GenerateImageRequest());
  EXPECT_FALSE(request.prompt_2.has_value());
  EXPECT_FALSE(request.negative_prompt.has_value());
  EXPECT_FALSE(request.negative_prompt_2.has_value());
  EXPECT_EQ(request.text_mode, TextMode::kSplit);
}

TEST(LinkMessagesTest, AReportTellsTimesAndCounts) {
  ImageResult result;
  result.times = {.text_encode_s = 1, .denoise_s = 2, .decode_s = 3, .step_ms = {5, 6}};
  result.clip_truncated = true;
  result.clip_tokens = 90;
  result.t5_tokens = 91;
  result.bytes_received = 1LL << 40;
  const internal::v1::JobReport report = MakeJobReport(result);
  EXPECT_EQ(report.text_encode_s(), 1);
  EXPECT_EQ(report.denoise_s(), 2);
  EXPECT_EQ(report.decode_s(), 3);
  ASSERT_EQ(report.step_ms_size(), 2);
  EXPECT_EQ(report.step_ms(1), 6);
  EXPECT_TRUE(report.clip_truncated());
  EXPECT_FALSE(report.t5_truncated());
  EXPECT_EQ(report.clip_tokens(), 90);
  EXPECT_EQ(report.t5_tokens(), 91);
  EXPECT_EQ(report.bytes_received(), 1LL << 40);
}

}  // namespace
}  // namespace tessera
