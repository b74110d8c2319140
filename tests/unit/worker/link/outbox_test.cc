#include "worker/link/outbox.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

internal::v1::ConnectRequest StepDone(int step) {
  internal::v1::ConnectRequest message;
  message.mutable_step_done()->set_step(step);
  return message;
}

internal::v1::ConnectRequest Chunk(int image_index) {
  internal::v1::ConnectRequest message;
  message.mutable_pixel_chunk()->set_image_index(image_index);
  return message;
}

TEST(OutboxTest, ANewerStepReplacesOneThatWaits) {
  Outbox outbox;
  outbox.Add(StepDone(0));
  outbox.Add(StepDone(1));
  EXPECT_EQ(outbox.Take()->step_done().step(), 1);
  outbox.Add(StepDone(2));
  EXPECT_EQ(outbox.Take()->step_done().step(), 2);
}

TEST(OutboxTest, KeepsEveryPictureInOrder) {
  Outbox outbox;
  for (int i = 0; i < 3; ++i) outbox.Add(Chunk(i));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(outbox.Take()->pixel_chunk().image_index(), i);
}

TEST(OutboxTest, AStepDoesNotOvertakeAPicture) {
  Outbox outbox;
  outbox.Add(StepDone(0));
  outbox.Add(Chunk(0));
  outbox.Add(StepDone(1));
  EXPECT_EQ(outbox.Take()->step_done().step(), 0);
  EXPECT_TRUE(outbox.Take()->has_pixel_chunk());
  EXPECT_EQ(outbox.Take()->step_done().step(), 1);
}

TEST(OutboxTest, GivesNothingOnceClosed) {
  Outbox outbox;
  outbox.Add(Chunk(0));
  outbox.Close();
  EXPECT_FALSE(outbox.Take().has_value());
}

}  // namespace
}  // namespace tessera
