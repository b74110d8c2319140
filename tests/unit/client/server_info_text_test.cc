#include "client/server_info_text.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

TEST(ServerInfoTextTest, TellsModelQueueAndGroups) {
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        tessera_version: "1.2.3"
        model {
          name: "tiny"
          fingerprint: "00ff"
          guidance_embeds: true
          defaults {
            width: 64
            height: 96
            num_inference_steps: 4
            guidance_scale: 3.5
            max_sequence_length: 77
          }
          size_multiple: 16
          min_size: 16
          max_size: 4096
          max_pixels: 16777216
          max_inference_steps: 1000
          max_images: 16
          max_sequence_length: 512
        }
        groups {
          state: GROUP_STATE_ENDING
          reason: "rank 1 was lost"
          epoch: 3
          size: 2
          workers {
            name: "worker-0"
            rank: 0
            device: "cpu"
            dtype: "float32"
            threads: 1
            pid: 42
            host: "here"
          }
          workers {
            name: "worker-1"
            rank: -1
            device: "cuda:1"
            dtype: "bfloat16"
            threads: 8
            pid: 43
            host: "there"
          }
        }
        queue {
          length: 1
          max_length: 32
          predicted_wait { seconds: 2 nanos: 500000000 }
        }
        jobs { admitted: 9 refused: 2 succeeded: 5 failed: 1 cancelled: 1 expired: 1 joined: 3 }
        default_sync_steps: 1
        default_text_mode: TEXT_MODE_SPLIT
        max_unary_reply_bytes: 4194304)pb",
      &info));
  EXPECT_EQ(ServerInfoText(info),
            "tessera        1.2.3\n"
            "model          tiny (00ff), takes guidance\n"
            "defaults       64x96, 4 steps, guidance 3.5, 77 text tokens\n"
            "limits         16 to 4096 pixels a side in steps of 16, 16777216 pixels in all, 1000 "
            "steps, 16 images, "
            "512 text tokens\n"
            "parallelism    sync steps 1, refresh every 0, text mode split\n"
            "unary reply    at most 4194304 bytes\n"
            "queue          1 of 32, a new job starts in about 2.5 s\n"
            "jobs           9 admitted: 5 succeeded, 1 failed, 1 cancelled, 1 expired; 2 refused; "
            "3 joined others\n"
            "group 0        ending, 2 of 2 workers, epoch 3: rank 1 was lost\n"
            "  rank  name                 host             device   dtype     threads  pid\n"
            "     0  worker-0             here             cpu      float32         1  42\n"
            "     -  worker-1             there            cuda:1   bfloat16        8  43\n");
}

TEST(ServerInfoTextTest, TheModelMayBeUnknown) {
  const std::string text = ServerInfoText(v1::GetServerInfoResponse());
  EXPECT_THAT(text, testing::HasSubstr("model          not known yet\n"));
  EXPECT_THAT(text, testing::HasSubstr("queue          0 of 0\n"));
}

TEST(ServerInfoTextTest, AnEnumOfANewerServerIsNoHarm) {
  v1::GetServerInfoResponse info;
  info.add_groups()->set_state(static_cast<v1::GroupState>(99));
  info.set_default_text_mode(static_cast<v1::TextMode>(99));
  EXPECT_THAT(ServerInfoText(info), testing::HasSubstr("group 0        unknown, 0 of 0 workers"));
}

}  // namespace
}  // namespace tessera
