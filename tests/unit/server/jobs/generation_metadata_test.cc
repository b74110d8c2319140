#include "server/jobs/generation_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(PngSettingsTest, SayWhatDecidesThePixels) {
  v1::GenerationMetadata metadata;
  metadata.set_job_id("job-1");
  metadata.set_attempts(2);
  metadata.set_ranks(3);
  metadata.set_model_fingerprint("0123456789abcdef");
  metadata.set_dtype("bfloat16+fp8");
  metadata.set_tessera_version("1.2.3");
  v1::GenerateImageRequest& request = *metadata.mutable_effective_request();
  request.set_prompt("a cat");
  request.set_seed(4294967295u);
  request.set_num_inference_steps(28);
  request.set_guidance_scale(3.5);
  request.set_true_cfg_scale(1);
  request.set_sync_steps(1);
  request.set_refresh_every(0);
  request.set_text_mode(v1::TEXT_MODE_SPLIT);
  EXPECT_THAT(PngSettings(metadata),
              ElementsAre(Pair("Software", "Tessera 1.2.3"), Pair("model", "0123456789abcdef"),
                          Pair("seed", "4294967295"), Pair("steps", "28"), Pair("guidance", "3.5"),
                          Pair("true_cfg", "1"), Pair("ranks", "3"), Pair("mode", "rotating"),
                          Pair("sync_steps", "1"), Pair("refresh_every", "0"),
                          Pair("text_mode", "split"), Pair("dtype", "bfloat16+fp8")));
}

TEST(PngSettingsTest, OneRankDoesNotRotate) {
  v1::GenerationMetadata metadata;
  metadata.set_ranks(1);
  EXPECT_THAT(PngSettings(metadata), ::testing::Contains(Pair("mode", "single")));
}

}  // namespace
}  // namespace tessera
