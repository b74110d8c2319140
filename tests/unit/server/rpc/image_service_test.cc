#include "server/rpc/image_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <future>
#include <vector>

#include "tests/support/png_pixels.h"
#include "tests/unit/server/rpc/server_harness.h"

namespace tessera {
namespace {

using testing::DetailOf;
using testing::FakeWorker;
using ::testing::HasSubstr;
using testing::OnRunJob;
using testing::PixelsOf;
using testing::ServerHarness;

constexpr int kSize = 3;

TesseraServerOptions Options() {
  TesseraServerOptions options;
  options.core.group.size = kSize;
  options.core.scheduler.max_queue_length = 2;
  return options;
}

void SetDeadline(double deadline_s, grpc::ClientContext& context) {
  if (deadline_s == 0) return;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(static_cast<int64_t>(deadline_s * 1000)));
}

// The pixels that fake workers made for a call.
std::string FakePixels(const v1::GenerationMetadata& metadata, int image_index) {
  return testing::FakePicture(metadata.effective_request(), image_index);
}

// The client's side of a stream.
class StreamReader {
 public:
  StreamReader(ServerHarness& harness, const v1::GenerateImageRequest& request,
               double deadline_s = 0) {
    SetDeadline(deadline_s, context_);
    stream_ = harness.stub->StreamGenerateImage(&context_, request);
  }

  // The next event; a default one at the stream's end.
  v1::StreamGenerateImageResponse Next() {
    v1::StreamGenerateImageResponse event;
    stream_->Read(&event);
    return event;
  }
  grpc::Status Finish() {
    v1::StreamGenerateImageResponse event;
    while (stream_->Read(&event)) {
    }
    return stream_->Finish();
  }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::StreamGenerateImageResponse>> stream_;
};

class ImageServiceTest : public ::testing::Test {
 protected:
  grpc::Status Generate(const v1::GenerateImageRequest& request,
                        v1::GenerateImageResponse* response = nullptr, double deadline_s = 0) {
    grpc::ClientContext context;
    SetDeadline(deadline_s, context);
    v1::GenerateImageResponse unused;
    return h_.stub->GenerateImage(&context, request, response == nullptr ? &unused : response);
  }

  v1::GetServerInfoResponse Info() {
    grpc::ClientContext context;
    v1::GetServerInfoResponse info;
    EXPECT_TRUE(h_.stub->GetServerInfo(&context, {}, &info).ok());
    return info;
  }

  ServerHarness h_{Options()};
};

TEST_F(ImageServiceTest, AnswersAPromptAlone) {
  h_.AddWorkers(kSize);
  v1::GenerateImageRequest request;
  request.set_prompt("a cat");
  v1::GenerateImageResponse response;
  const grpc::Status status = Generate(request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.images_size(), 1);
  EXPECT_EQ(PixelsOf(response.images(0).png()), FakePixels(response.metadata(), 0));
  EXPECT_EQ(response.images(0).width(), 64);
  EXPECT_EQ(response.metadata().ranks(), kSize);
  EXPECT_EQ(response.metadata().clip_tokens(), 7);
  EXPECT_LE(response.metadata().effective_request().seed(), 0xFFFFFFFFu);
  for (const auto& worker : h_.workers) EXPECT_EQ(worker->jobs_received(), 1);
}

TEST_F(ImageServiceTest, StreamsProgressThenPicturesThenMetadata) {
  h_.AddWorkers(kSize);
  v1::GenerateImageRequest request;
  request.set_prompt("a cat");
  request.set_seed(5);
  request.set_width(1024);
  request.set_height(1024);
  request.set_num_images(2);
  StreamReader reader(h_, request);

  EXPECT_EQ(reader.Next().queued().position(), 0);
  const auto attempt = reader.Next().attempt_started();
  EXPECT_EQ(attempt.attempt(), 1);
  EXPECT_EQ(attempt.ranks(), kSize);
  v1::StreamGenerateImageResponse event = reader.Next();
  int last_step = 0;
  for (; event.has_step_done(); event = reader.Next()) {
    EXPECT_GT(event.step_done().step(), last_step);
    EXPECT_EQ(event.step_done().steps(), 4);
    last_step = event.step_done().step();
  }
  std::vector<std::string> pngs(2);
  std::vector<bool> ended(2);
  for (; event.has_image_chunk(); event = reader.Next()) {
    const v1::ImageChunk& chunk = event.image_chunk();
    EXPECT_LE(chunk.data().size(), 1u << 20);
    EXPECT_FALSE(ended[chunk.image_index()]);
    pngs[chunk.image_index()] += chunk.data();
    ended[chunk.image_index()] = chunk.last();
  }
  EXPECT_THAT(ended, ::testing::Each(true));
  ASSERT_TRUE(event.has_metadata());
  for (int i : {0, 1}) {
    EXPECT_GT(pngs[i].size(), 2u << 20);  // more than two chunks
    EXPECT_EQ(PixelsOf(pngs[i]), FakePixels(event.metadata(), i));
  }
  EXPECT_EQ(event.metadata().effective_request().seed(), 5u);
  EXPECT_TRUE(reader.Finish().ok());
}

TEST_F(ImageServiceTest, AnswersFiveMistakesWithFiveViolations) {
  h_.AddWorkers(kSize);
  v1::GenerateImageRequest request;
  request.set_num_inference_steps(0);
  request.set_num_images(100);
  request.set_width(17);
  request.set_guidance_scale(-1);
  request.set_sync_steps(0);
  const grpc::Status status = Generate(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(DetailOf<google::rpc::BadRequest>(status).field_violations_size(), 5);
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(status).reason(), "INVALID_REQUEST");
}

TEST_F(ImageServiceTest, RefusesAUnaryReplyThatMayNotFit) {
  h_.AddWorkers(kSize);
  v1::GenerateImageRequest request;
  request.set_width(2048);
  request.set_height(2048);
  const grpc::Status status = Generate(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(status).reason(), "REPLY_TOO_LARGE");
  EXPECT_FALSE(testing::HasRetryInfo(status));
  EXPECT_TRUE(StreamReader(h_, request).Finish().ok());
}

TEST_F(ImageServiceTest, RefusesWhenTheQueueIsFull) {
  h_.AddWorkers(kSize, OnRunJob::kHold);
  StreamReader running(h_, {});
  EXPECT_TRUE(running.Next().has_queued());
  EXPECT_TRUE(running.Next().has_attempt_started());
  StreamReader first(h_, {});
  EXPECT_EQ(first.Next().queued().position(), 1);
  StreamReader second(h_, {});
  EXPECT_EQ(second.Next().queued().position(), 2);

  grpc::ClientContext context;
  v1::GenerateImageResponse response;
  const grpc::Status status = h_.stub->GenerateImage(&context, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(status).reason(), "QUEUE_FULL");
  EXPECT_GE(DetailOf<google::rpc::RetryInfo>(status).retry_delay().seconds(), 1);
  EXPECT_EQ(context.GetServerTrailingMetadata().count("grpc-retry-pushback-ms"), 1u);
  EXPECT_EQ(Info().queue().length(), 2);
}

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

// The client enforces its deadline by itself; what the server does shows in the jobs that follow.
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
  options.core.scheduler.max_attempts = 1;
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

TEST_F(ImageServiceTest, CallsWithTheSameRequestIdGetTheSamePictures) {
  h_.AddWorkers(kSize);
  v1::GenerateImageRequest request;
  request.set_request_id("once");
  v1::GenerateImageResponse first;
  v1::GenerateImageResponse again;
  EXPECT_TRUE(Generate(request, &first).ok());
  EXPECT_TRUE(Generate(request, &again).ok());
  EXPECT_EQ(first.SerializeAsString(), again.SerializeAsString());
  EXPECT_EQ(h_.RankZero().jobs_received(), 1);
  request.set_prompt("something else");
  const grpc::Status status = Generate(request, nullptr);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
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

TEST_F(ImageServiceTest, DescribesModelGroupQueueAndDefaults) {
  v1::GetServerInfoResponse info = Info();
  EXPECT_FALSE(info.has_model());
  EXPECT_EQ(info.groups(0).state(), v1::GROUP_STATE_WAITING);
  EXPECT_EQ(info.groups(0).reason(), "0 of 3 workers");
  h_.AddWorkers(kSize);
  EXPECT_TRUE(Generate({}).ok());
  info = Info();
  EXPECT_EQ(info.tessera_version(), TESSERA_VERSION);
  EXPECT_EQ(info.model().name(), "fake-flux");
  EXPECT_EQ(info.model().defaults().num_inference_steps(), 4);
  EXPECT_EQ(info.groups(0).state(), v1::GROUP_STATE_READY);
  EXPECT_EQ(info.groups(0).size(), kSize);
  EXPECT_EQ(info.groups(0).epoch(), 1);
  EXPECT_EQ(info.groups(0).workers_size(), kSize);
  EXPECT_EQ(info.queue().length(), 0);
  EXPECT_EQ(info.queue().max_length(), 2);
  EXPECT_TRUE(info.queue().has_predicted_wait());
  EXPECT_EQ(info.default_sync_steps(), 1);
  EXPECT_EQ(info.default_text_mode(), v1::TEXT_MODE_SPLIT);
  EXPECT_EQ(info.max_unary_reply_bytes(), 4 << 20);
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

// A reader that takes nothing while a job of many steps goes by, and others are served.
TEST_F(ImageServiceTest, ASlowReaderHoldsNobodyUp) {
  h_.AddWorkers(kSize);
  v1::GenerateImageRequest request;
  request.set_width(1024);
  request.set_height(1024);
  request.set_num_inference_steps(100);
  StreamReader slow(h_, request);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(StreamReader(h_, request).Finish().ok());
  EXPECT_TRUE(slow.Finish().ok());
}

// What a call takes when the engine takes no time: the figure is printed, not judged.
TEST_F(ImageServiceTest, PrintsWhatItAddsToTheEnginesTime) {
  h_.AddWorkers(kSize);
  v1::GenerateImageRequest request;
  request.set_width(512);
  request.set_height(512);
  std::vector<double> calls_ms;
  for (int i = 0; i < 30; ++i) {
    const auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(Generate(request).ok());
    const std::chrono::duration<double, std::milli> taken =
        std::chrono::steady_clock::now() - start;
    calls_ms.push_back(taken.count());
  }
  std::sort(calls_ms.begin(), calls_ms.end());
  std::printf(
      "a call with %d ranks for 512x512 pixels, without the engine: %.2f ms (median of 30)\n",
      kSize, calls_ms[calls_ms.size() / 2]);
}

TEST_F(ImageServiceTest, RefusesAnOversizedRequest) {
  v1::GenerateImageRequest request;
  request.set_prompt(std::string(300 << 10, 'x'));
  EXPECT_EQ(Generate(request).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace tessera
