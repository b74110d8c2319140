// Calls that end otherwise than by pictures: cancelled, expired, interrupted, failed, drained.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <vector>

#include "tests/unit/server/rpc/image_service_fixture.h"

namespace tessera {
namespace {

using testing::DetailOf;
using ::testing::HasSubstr;
using testing::ImageServiceTest;
using testing::kSize;
using testing::OnRunJob;
using testing::Options;
using testing::ServerHarness;
using testing::StreamReader;

TEST_F(ImageServiceTest, ACancelledCallLeavesTheQueue) {
  h_.AddWorkers(kSize, OnRunJob::kHold);
  StreamReader running(h_, {});
  for (const auto& worker : h_.workers) worker->AwaitRun();
  StreamReader waiting(h_, {});
  EXPECT_EQ(waiting.Next().queued().position(), 1);
  StreamReader behind(h_, {});
  EXPECT_EQ(behind.Next().queued().position(), 2);
  waiting.Cancel();
  EXPECT_EQ(waiting.Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(behind.Next().queued().position(), 1);
  for (const auto& worker : h_.workers) EXPECT_EQ(worker->jobs_received(), 1);
}

TEST_F(ImageServiceTest, ACancelledCallStopsItsRunningJobAndTheNextRuns) {
  h_.AddWorkers(kSize, OnRunJob::kHold);
  StreamReader cancelled(h_, {});
  const internal::v1::RunJob job = h_.RankZero().AwaitRun();
  h_.RankZero().SendStep(job, 0);
  while (!cancelled.Next().has_step_done()) {
  }
  v1::GenerateImageRequest request;
  request.set_prompt("the next");
  StreamReader next(h_, request);
  cancelled.Cancel();
  const internal::v1::RunJob next_job = h_.RankZero().AwaitRun();
  EXPECT_EQ(next_job.request().prompt(), "the next");
  EXPECT_EQ(next_job.key().epoch(), job.key().epoch());  // the group stayed whole
}

TEST_F(ImageServiceTest, ADeadlineEndsARunningJobAndAWaitingOne) {
  h_.AddWorkers(kSize, OnRunJob::kHold);
  const grpc::Status in_run = Generate({}, nullptr, 0.2);
  EXPECT_EQ(in_run.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  const std::string expired = h_.RankZero().AwaitRun().key().job_id();
  StreamReader running(h_, {});
  EXPECT_NE(h_.RankZero().AwaitRun().key().job_id(), expired);

  StreamReader waiting(h_, {}, 0.2);
  EXPECT_EQ(waiting.Next().queued().position(), 1);
  StreamReader behind(h_, {});
  EXPECT_EQ(behind.Next().queued().position(), 2);
  EXPECT_EQ(waiting.Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(behind.Next().queued().position(), 1);
}

TEST_F(ImageServiceTest, ALostWorkersJobRunsAgainWithItsSuccessor) {
  h_.AddWorkers(kSize, OnRunJob::kHold);
  StreamReader reader(h_, {});
  for (const auto& worker : h_.workers) worker->AwaitRun();
  h_.RankZero().Die();
  h_.workers.erase(std::find_if(h_.workers.begin(), h_.workers.end(),
                                [](const auto& worker) { return worker->rank() == 0; }));
  h_.AddWorker(OnRunJob::kHold);
  internal::v1::RunJob job;
  for (const auto& worker : h_.workers) job = worker->AwaitRun();
  EXPECT_EQ(job.key().attempt(), 2);
  EXPECT_EQ(job.key().epoch(), 2);
  h_.RankZero().SendPictures(job);
  for (const auto& worker : h_.workers) worker->SendDone(job, absl::OkStatus());

  std::vector<int> attempts;
  v1::GenerationMetadata metadata;
  for (auto event = reader.Next(); event.event_case() != 0; event = reader.Next()) {
    if (event.has_attempt_started()) attempts.push_back(event.attempt_started().attempt());
    if (event.has_metadata()) metadata = event.metadata();
  }
  EXPECT_TRUE(reader.Finish().ok());
  EXPECT_EQ(attempts.back(), 2);
  EXPECT_EQ(metadata.attempts(), 2);
}

TEST_F(ImageServiceTest, AJobThatMayNotRunAgainIsUnavailableForNow) {
  TesseraServerOptions options = Options();
  options.core.scheduler.retry.max_attempts = 1;
  ServerHarness once(std::move(options));
  once.AddWorkers(kSize, OnRunJob::kHold);
  StreamReader interrupted(once, {});
  once.RankZero().AwaitRun();
  once.RankZero().Die();
  const grpc::Status status = interrupted.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(status).reason(), "WORKER_LOST");
  EXPECT_TRUE(testing::HasRetryInfo(status));
}

TEST_F(ImageServiceTest, ARanksOwnErrorIsInternal) {
  h_.AddWorkers(kSize, OnRunJob::kHold);
  StreamReader failed(h_, {});
  std::vector<internal::v1::RunJob> jobs;
  for (const auto& worker : h_.workers) jobs.push_back(worker->AwaitRun());
  for (const auto& worker : h_.workers) {
    if (worker->rank() == 1) {
      worker->SendDone(jobs[0], absl::InternalError("denoise, step 2: NaN"), false);
    }
  }
  const grpc::Status status = failed.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(status.error_message(), HasSubstr("NaN"));
  const auto info = DetailOf<google::rpc::ErrorInfo>(status);
  EXPECT_EQ(info.reason(), "GENERATION_FAILED");
  EXPECT_EQ(info.metadata().at("rank"), "1");
  EXPECT_THAT(status.error_message(), HasSubstr(info.metadata().at("job_id")));
}

TEST_F(ImageServiceTest, DrainFinishesAdmittedJobsAndRefusesNewOnes) {
  h_.AddWorkers(kSize, OnRunJob::kHold);
  StreamReader running(h_, {});
  const internal::v1::RunJob job = h_.RankZero().AwaitRun();
  std::promise<void> drained;
  h_.server->Drain([&] { drained.set_value(); });
  const grpc::Status refused = Generate({});
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(refused).reason(), "DRAINING");
  h_.RankZero().SendPictures(job);
  for (const auto& worker : h_.workers) worker->SendDone(job, absl::OkStatus());
  EXPECT_TRUE(running.Finish().ok());
  drained.get_future().wait();
}

TEST_F(ImageServiceTest, StopAnswersWhatIsLeftAndSendsWorkersAway) {
  h_.AddWorkers(kSize, OnRunJob::kHold);
  StreamReader running(h_, {});
  h_.RankZero().AwaitRun();
  StreamReader waiting(h_, {});
  EXPECT_EQ(waiting.Next().queued().position(), 1);
  h_.server->Stop();
  EXPECT_EQ(running.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(waiting.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  for (const auto& worker : h_.workers) {
    EXPECT_EQ(worker->AwaitClosed().error_code(), grpc::StatusCode::UNAVAILABLE);
  }
}

}  // namespace
}  // namespace tessera
