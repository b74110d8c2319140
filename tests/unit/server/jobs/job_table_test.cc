#include "server/jobs/job_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/server/jobs/recording_listener.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;

std::unique_ptr<Job> MakeJob(const std::string& id, TimePoint deadline = kNever) {
  return std::make_unique<Job>(
      JobSpec{.id = id, .request = {}, .submitted_at = TimePoint(), .deadline = deadline},
      std::make_shared<testing::RecordingListener>());
}

class JobTableTest : public ::testing::Test {
 protected:
  std::vector<std::string> Line() const {
    std::vector<std::string> ids;
    for (const auto& [place, job] : table_.line()) ids.push_back(job->id());
    return ids;
  }
  std::vector<std::string> DueIds(TimePoint now) const {
    std::vector<std::string> ids;
    for (const Job* job : table_.Due(now)) ids.push_back(job->id());
    return ids;
  }
  Job& Start(const std::string& id) {
    Job& job = *table_.Find(id);
    job.StartAttempt(TimePoint(), 2);
    table_.Update(job);
    return job;
  }

  JobTable table_{[](const Job& job) { return job.deadline(); }};
};

TEST_F(JobTableTest, TheLineIsFirstInFirstOut) {
  for (const char* id : {"a", "b", "c"}) table_.Add(MakeJob(id));
  EXPECT_THAT(Line(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(table_.waiting(), 3);
}

TEST_F(JobTableTest, AJobThatRunsLeavesTheLineAndStaysInTheTable) {
  for (const char* id : {"a", "b"}) table_.Add(MakeJob(id));
  const Job& running = Start("a");
  EXPECT_THAT(Line(), ElementsAre("b"));
  EXPECT_EQ(table_.Find("a"), &running);
  EXPECT_EQ(table_.Count(JobState::kRunning), 1);
  EXPECT_EQ(table_.Count(JobState::kQueued), 1);
}

TEST_F(JobTableTest, AJobThatRunsAgainWaitsInFront) {
  for (const char* id : {"a", "b", "c"}) table_.Add(MakeJob(id));
  for (const char* id : {"a", "b"}) {
    Job& job = Start(id);
    job.RunAgain();
    table_.Update(job);
  }
  EXPECT_THAT(Line(), ElementsAre("b", "a", "c"));
  table_.Add(MakeJob("d"));
  EXPECT_THAT(Line(), ElementsAre("b", "a", "c", "d"));
}

TEST_F(JobTableTest, RemovesFromTheMiddleAndKeepsTheOrder) {
  for (const char* id : {"a", "b", "c"}) table_.Add(MakeJob(id));
  EXPECT_EQ(table_.Remove(*table_.Find("b"))->id(), "b");
  EXPECT_EQ(table_.Find("b"), nullptr);
  EXPECT_THAT(Line(), ElementsAre("a", "c"));
  EXPECT_EQ(table_.All().size(), 2u);
}

TEST_F(JobTableTest, TellsWhatIsDueInOrder) {
  const auto at = [](int seconds) { return TimePoint() + std::chrono::seconds(seconds); };
  table_.Add(MakeJob("a", at(9)));
  table_.Add(MakeJob("b"));
  table_.Add(MakeJob("c", at(3)));
  EXPECT_EQ(table_.NextDue(), at(3));
  EXPECT_THAT(DueIds(at(2)), ElementsAre());
  EXPECT_THAT(DueIds(at(3)), ElementsAre("c"));
  EXPECT_THAT(DueIds(at(9)), ElementsAre("a", "c"));
  table_.Find("c")->ExtendDeadline(at(20));
  table_.Update(*table_.Find("c"));
  EXPECT_EQ(table_.NextDue(), at(9));
  table_.Remove(*table_.Find("a"));
  EXPECT_EQ(table_.NextDue(), at(20));
}

}  // namespace
}  // namespace tessera
