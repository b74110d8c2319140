#include "server/job_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kRanks = 3;

internal::v1::JobDone Done(absl::StatusCode code, const std::string& message = "") {
  internal::v1::JobDone done;
  done.mutable_outcome()->set_code(static_cast<int>(code));
  done.mutable_outcome()->set_message(message);
  return done;
}

internal::v1::ImageChunk Chunk(int image_index, const std::string& data, bool last) {
  internal::v1::ImageChunk chunk;
  chunk.set_image_index(image_index);
  chunk.set_data(data);
  chunk.set_last(last);
  return chunk;
}

class JobRunTest : public ::testing::Test {
 protected:
  void AddPicture() { ASSERT_TRUE(run_.AddChunk(Chunk(0, "png", true)).ok()); }

  JobRun run_{internal::v1::JobKey(), kRanks, 1, 1000};
};

TEST_F(JobRunTest, SucceedsWhenEveryRankIsDone) {
  AddPicture();
  for (int rank = 0; rank < kRanks; ++rank) {
    EXPECT_FALSE(run_.complete());
    run_.Report(rank, Done(absl::StatusCode::kOk));
  }
  ASSERT_TRUE(run_.complete());
  const RunResult result = run_.TakeResult();
  EXPECT_EQ(result.outcome, RunOutcome::kSucceeded);
  EXPECT_THAT(result.pngs, ElementsAre("png"));
}

TEST_F(JobRunTest, FailsWhenAPictureIsMissing) {
  ASSERT_TRUE(run_.AddChunk(Chunk(0, "pn", false)).ok());
  for (int rank = 0; rank < kRanks; ++rank) run_.Report(rank, Done(absl::StatusCode::kOk));
  const RunResult result = run_.TakeResult();
  EXPECT_EQ(result.outcome, RunOutcome::kFailed);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kInternal);
}

// In every order of the reports.
TEST_F(JobRunTest, ARanksOwnErrorOutranksPeerLostAndLostRanks) {
  std::vector<int> order = {0, 1, 2};
  do {
    JobRun run(internal::v1::JobKey(), kRanks, 1, 1000);
    for (int rank : order) {
      if (rank == 0) run.Report(0, Done(absl::StatusCode::kUnavailable, "rank 2 was lost"));
      if (rank == 1) run.Lose(1, absl::UnavailableError("its link was closed"));
      if (rank == 2) run.Report(2, Done(absl::StatusCode::kInternal, "NaN in step 3"));
    }
    const RunResult result = run.TakeResult();
    EXPECT_EQ(result.outcome, RunOutcome::kFailed);
    EXPECT_EQ(result.rank, 2);
    EXPECT_EQ(result.status.message(), "NaN in step 3");
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(JobRunTest, ALostRankOutranksPeerLost) {
  run_.Report(0, Done(absl::StatusCode::kUnavailable, "peer lost"));
  run_.Lose(1, absl::UnavailableError("its link was closed"));
  run_.Report(2, Done(absl::StatusCode::kAborted, "peer failed"));
  const RunResult result = run_.TakeResult();
  EXPECT_EQ(result.outcome, RunOutcome::kBroken);
  EXPECT_EQ(result.rank, 1);
}

TEST_F(JobRunTest, ASilentRankDidNotBreakOnTheJob) {
  run_.Report(0, Done(absl::StatusCode::kUnavailable, "peer lost"));
  run_.Lose(1, absl::DeadlineExceededError("it was silent for 2 s"));
  run_.Lose(2, absl::AbortedError("rank 2 left the epoch"));
  const RunResult result = run_.TakeResult();
  EXPECT_EQ(result.outcome, RunOutcome::kInterrupted);
  EXPECT_EQ(result.rank, 1);
}

TEST_F(JobRunTest, IsStoppedWhenEveryRankLeftAfterAVote) {
  for (int rank = 0; rank < kRanks; ++rank) run_.Report(rank, Done(absl::StatusCode::kCancelled));
  EXPECT_EQ(run_.TakeResult().outcome, RunOutcome::kStopped);
}

TEST_F(JobRunTest, OnlyTheFirstEndOfARankCounts) {
  AddPicture();
  for (int rank = 0; rank < kRanks; ++rank) run_.Report(rank, Done(absl::StatusCode::kOk));
  run_.Report(1, Done(absl::StatusCode::kInternal));
  run_.Lose(2, absl::UnavailableError("gone"));
  EXPECT_EQ(run_.TakeResult().outcome, RunOutcome::kSucceeded);
}

TEST_F(JobRunTest, PutsPicturesTogether) {
  JobRun run(internal::v1::JobKey(), 1, 2, 1000);
  EXPECT_TRUE(run.AddChunk(Chunk(0, "a", false)).ok());
  EXPECT_TRUE(run.AddChunk(Chunk(0, "b", true)).ok());
  EXPECT_TRUE(run.AddChunk(Chunk(1, "c", true)).ok());
  run.Report(0, Done(absl::StatusCode::kOk));
  EXPECT_THAT(run.TakeResult().pngs, ElementsAre("ab", "c"));
}

TEST_F(JobRunTest, RefusesPiecesThatCannotBelong) {
  EXPECT_THAT(run_.AddChunk(Chunk(-1, "a", true)).message(), HasSubstr("-1 of 1"));
  EXPECT_THAT(run_.AddChunk(Chunk(1, "a", true)).message(), HasSubstr("1 of 1"));
  EXPECT_THAT(run_.AddChunk(Chunk(0, std::string(1001, 'x'), true)).message(),
              HasSubstr("more than 1000 bytes"));
  JobRun run(internal::v1::JobKey(), 1, 1, 1000);
  EXPECT_TRUE(run.AddChunk(Chunk(0, "a", true)).ok());
  EXPECT_THAT(run.AddChunk(Chunk(0, "a", true)).message(), HasSubstr("had ended"));
}

}  // namespace
}  // namespace tessera
