#include "client/progress_text.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

std::string Text(const std::string& event_text, int columns = 80) {
  v1::StreamGenerateImageResponse event;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(event_text, &event)) << event_text;
  return ProgressText(event, columns);
}

TEST(ProgressTextTest, TellsThePlaceInTheQueue) {
  EXPECT_EQ(Text("queued { position: 2 }"), "queued: 2 ahead");
  EXPECT_EQ(Text("queued { position: 2 predicted_wait { seconds: 12 nanos: 400000000 } }"),
            "queued: 2 ahead, starts in about 12 s");
  EXPECT_EQ(Text("queued { predicted_wait { nanos: 250000000 } }"),
            "queued: next, starts in about 250 ms");
  EXPECT_EQ(Text("queued { position: 40 predicted_wait { seconds: 185 } }"),
            "queued: 40 ahead, starts in about 3 min 5 s");
}

TEST(ProgressTextTest, TellsEachAttempt) {
  EXPECT_EQ(Text("attempt_started { attempt: 1 ranks: 3 }"), "started on 3 workers");
  EXPECT_EQ(Text("attempt_started { attempt: 1 ranks: 1 }"), "started on 1 worker");
  EXPECT_EQ(Text("attempt_started { attempt: 2 ranks: 3 }"),
            "started again on 3 workers (attempt 2)");
}

TEST(ProgressTextTest, DrawsABarOfTheSteps) {
  EXPECT_EQ(Text("step_done { step: 1 steps: 4 }"),
            "[##########..............................] step 1/4");
  EXPECT_EQ(Text("step_done { step: 4 steps: 4 predicted_remaining { seconds: 1 } }"),
            "[########################################] step 4/4, about 1 s left");
}

TEST(ProgressTextTest, TheBarShrinksWithTheTerminal) {
  const std::string text = Text("step_done { step: 2 steps: 4 }", 40);
  EXPECT_EQ(text.size(), 40u);
  EXPECT_EQ(text, "[##############...............] step 2/4");
}

TEST(ProgressTextTest, SurvivesANonsensicalStep) {
  EXPECT_EQ(Text("step_done { step: 5 steps: 0 }", 40).substr(0, 2), "[#");
  EXPECT_EQ(Text("step_done { step: -5 steps: 3 }", 40).substr(0, 2), "[.");
  EXPECT_EQ(Text("step_done { step: 2147483647 steps: 1 }", 40).substr(0, 2), "[#");
}

TEST(ProgressTextTest, ALongLineIsCut) {
  EXPECT_EQ(RetryText(absl::UnavailableError("a server that is far away\nmore"), 2.5, 40),
            "trying again in 2.5 s: a server that ...");
  EXPECT_EQ(RetryText(absl::UnavailableError("lost\nmore"), 2.5, 40),
            "trying again in 2.5 s: lost");
}

TEST(ProgressTextTest, OtherEventsSayNothing) {
  EXPECT_EQ(Text("metadata { ranks: 1 }"), "");
  EXPECT_EQ(Text("image_chunk { last: true }"), "");
}

}  // namespace
}  // namespace tessera
