#include "server/workers/job_run.h"

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

internal::v1::PixelChunk Chunk(int image_index, const std::string& data) {
  internal::v1::PixelChunk chunk;
  chunk.set_image_index(image_index);
  chunk.set_data(data);
  return chunk;
}

// Pictures of two pixels.
internal::v1::RunJob Job(int num_images = 1) {
  internal::v1::RunJob job;
  job.mutable_request()->set_width(2);
  job.mutable_request()->set_height(1);
  job.mutable_request()->set_num_images(num_images);
  return job;
}

class JobRunTest : public ::testing::Test {
 protected:
  void AddPicture() { ASSERT_TRUE(run_.AddChunk(Chunk(0, "pixels")).ok()); }

  JobRun run_{kRanks, Job()};
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
  EXPECT_THAT(result.pictures, ElementsAre("pixels"));
}

TEST_F(JobRunTest, FailsWhenPixelsAreMissing) {
  ASSERT_TRUE(run_.AddChunk(Chunk(0, "pixel")).ok());
  for (int rank = 0; rank < kRanks; ++rank) run_.Report(rank, Done(absl::StatusCode::kOk));
  const RunResult result = run_.TakeResult();
  EXPECT_EQ(result.outcome, RunOutcome::kFailed);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(result.status.message(), HasSubstr("5 of 6 bytes of image 0"));
}

// In every order of the reports.
TEST_F(JobRunTest, ARanksOwnErrorOutranksPeerLostAndLostRanks) {
  std::vector<int> order = {0, 1, 2};
  do {
    JobRun run(kRanks, Job());
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
  EXPECT_EQ(run_.TakeResult().outcome, RunOutcome::kCancelled);
}

TEST_F(JobRunTest, OnlyTheFirstEndOfARankCounts) {
  AddPicture();
  for (int rank = 0; rank < kRanks; ++rank) run_.Report(rank, Done(absl::StatusCode::kOk));
  run_.Report(1, Done(absl::StatusCode::kInternal));
  run_.Lose(2, absl::UnavailableError("gone"));
  EXPECT_EQ(run_.TakeResult().outcome, RunOutcome::kSucceeded);
}

TEST_F(JobRunTest, PutsPicturesTogether) {
  JobRun run(1, Job(2));
  EXPECT_TRUE(run.AddChunk(Chunk(0, "pix")).ok());
  EXPECT_TRUE(run.AddChunk(Chunk(0, "els")).ok());
  EXPECT_TRUE(run.AddChunk(Chunk(1, "PIXELS")).ok());
  run.Report(0, Done(absl::StatusCode::kOk));
  EXPECT_THAT(run.TakeResult().pictures, ElementsAre("pixels", "PIXELS"));
}

TEST_F(JobRunTest, RefusesPiecesThatCannotBelong) {
  EXPECT_THAT(run_.AddChunk(Chunk(-1, "a")).message(), HasSubstr("-1 of 1"));
  EXPECT_THAT(run_.AddChunk(Chunk(1, "a")).message(), HasSubstr("1 of 1"));
  EXPECT_THAT(run_.AddChunk(Chunk(0, "7 bytes")).message(), HasSubstr("more than its 6 bytes"));
  AddPicture();
  EXPECT_THAT(run_.AddChunk(Chunk(0, "s")).message(), HasSubstr("more than its 6 bytes"));
}

}  // namespace
}  // namespace tessera
