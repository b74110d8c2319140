#include "server/jobs/job_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/server/jobs/recording_listener.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;

std::unique_ptr<Job> MakeJob(const std::string& id) {
  return std::make_unique<Job>(JobSpec{.id = id, .request = {}, .submitted_at = TimePoint()},
                               std::make_shared<testing::RecordingListener>());
}

std::vector<std::string> IdsOf(const JobQueue& queue) {
  std::vector<std::string> ids;
  for (int i = 0; i < queue.length(); ++i) ids.push_back(queue.at(i).id());
  return ids;
}

TEST(JobQueueTest, IsFirstInFirstOut) {
  JobQueue queue(3);
  for (const char* id : {"a", "b", "c"}) queue.PushBack(MakeJob(id));
  EXPECT_EQ(queue.PopFront()->id(), "a");
  EXPECT_EQ(queue.PopFront()->id(), "b");
  EXPECT_EQ(queue.PopFront()->id(), "c");
  EXPECT_EQ(queue.PopFront(), nullptr);
}

TEST(JobQueueTest, IsFullAtItsMaxLength) {
  JobQueue queue(2);
  queue.PushBack(MakeJob("a"));
  EXPECT_FALSE(queue.full());
  queue.PushBack(MakeJob("b"));
  EXPECT_TRUE(queue.full());
}

TEST(JobQueueTest, RunsAgainInFrontEvenWhenFull) {
  JobQueue queue(1);
  queue.PushBack(MakeJob("b"));
  queue.PushFront(MakeJob("a"));
  EXPECT_THAT(IdsOf(queue), ElementsAre("a", "b"));
}

TEST(JobQueueTest, RemovesFromTheMiddleAndKeepsTheOrder) {
  JobQueue queue(3);
  for (const char* id : {"a", "b", "c"}) queue.PushBack(MakeJob(id));
  EXPECT_EQ(queue.Remove("b")->id(), "b");
  EXPECT_EQ(queue.Remove("b"), nullptr);
  EXPECT_THAT(IdsOf(queue), ElementsAre("a", "c"));
}

TEST(JobQueueTest, RemoveIfTakesOutInOrder) {
  JobQueue queue(4);
  for (const char* id : {"a1", "b1", "a2", "b2"}) queue.PushBack(MakeJob(id));
  const auto removed = queue.RemoveIf([](const Job& job) { return job.id()[0] == 'a'; });
  ASSERT_EQ(removed.size(), 2u);
  EXPECT_EQ(removed[0]->id(), "a1");
  EXPECT_EQ(removed[1]->id(), "a2");
  EXPECT_THAT(IdsOf(queue), ElementsAre("b1", "b2"));
}

}  // namespace
}  // namespace tessera
