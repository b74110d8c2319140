#include "client/image_client.h"

#include <gmock/gmock.h>
#include <grpcpp/health_check_service_interface.h>
#include <gtest/gtest.h>

#include <future>

#include "common/base/mutex.h"
#include "tests/unit/client/fake_image_service.h"

namespace tessera {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Writer = FakeImageService::Writer;
using Script = FakeImageService::Script;

// Answers with one picture and its metadata.
grpc::Status Succeed(grpc::ServerContext&, const v1::GenerateImageRequest& request,
                     Writer& writer) {
  v1::StreamGenerateImageResponse event;
  event.mutable_image_chunk()->set_data("picture of " + request.prompt());
  event.mutable_image_chunk()->set_last(true);
  writer.Write(event);
  event.mutable_metadata()->set_ranks(3);
  writer.Write(event);
  return grpc::Status::OK;
}

Script FailWith(const grpc::Status& status) {
  return
      [status](grpc::ServerContext&, const v1::GenerateImageRequest&, Writer&) { return status; };
}

Script FailWithPushback(const grpc::Status& status, const std::string& milliseconds) {
  return [=](grpc::ServerContext& context, const v1::GenerateImageRequest&, Writer&) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms", milliseconds);
    return status;
  };
}

v1::GenerateImageRequest Fox() {
  v1::GenerateImageRequest request;
  request.set_prompt("a fox");
  return request;
}

// A client that writes down its waits instead of waiting.
struct Calls {
  explicit Calls(FakeImageService& service) {
    options.server = service.address();
    options.wait = [this](double wait_s, const std::stop_token&) { waits.push_back(wait_s); };
  }
  absl::StatusOr<GeneratedImages> Generate() { return ImageClient(options).Generate(Fox()); }

  ImageClientOptions options;
  std::vector<double> waits;
};

TEST(ImageClientTest, HandsOnEventsAndPutsThePicturesTogether) {
  FakeImageService service(
      {[](grpc::ServerContext&, const v1::GenerateImageRequest& request, Writer& writer) {
        EXPECT_EQ(request.prompt(), "a fox");
        v1::StreamGenerateImageResponse event;
        event.mutable_queued()->set_position(2);
        writer.Write(event);
        event.mutable_attempt_started()->set_ranks(3);
        writer.Write(event);
        event.mutable_step_done()->set_step(1);
        writer.Write(event);
        for (const auto& [index, data, last] :
             {std::tuple(0, "ab", false), std::tuple(0, "c", true), std::tuple(1, "d", true)}) {
          event.mutable_image_chunk()->set_image_index(index);
          event.mutable_image_chunk()->set_data(data);
          event.mutable_image_chunk()->set_last(last);
          writer.Write(event);
        }
        event.mutable_metadata()->set_job_id("j");
        writer.Write(event);
        return grpc::Status::OK;
      }});
  std::vector<int> events;
  const auto images =
      ImageClient(Calls(service).options).Generate(Fox(), {.on_event = [&](const auto& event) {
                                                     events.push_back(event.event_case());
                                                   }});
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_THAT(images->pngs, ElementsAre("abc", "d"));
  EXPECT_EQ(images->metadata.job_id(), "j");
  EXPECT_THAT(events, ElementsAre(v1::StreamGenerateImageResponse::kQueued,
                                  v1::StreamGenerateImageResponse::kAttemptStarted,
                                  v1::StreamGenerateImageResponse::kStepDone));
}

TEST(ImageClientTest, RefusesAStreamWithoutMetadata) {
  FakeImageService service({FailWith(grpc::Status::OK)});
  EXPECT_THAT(Calls(service).Generate().status().message(), HasSubstr("without its metadata"));
}

TEST(ImageClientTest, RefusesAPieceOutOfOrder) {
  FakeImageService service(
      {[](grpc::ServerContext& context, const v1::GenerateImageRequest&, Writer& writer) {
        v1::StreamGenerateImageResponse event;
        event.mutable_image_chunk()->set_image_index(5);
        while (!context.IsCancelled()) writer.Write(event);  // until the client hangs up
        return grpc::Status::OK;
      }});
  const absl::Status status = Calls(service).Generate().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(status.message(), HasSubstr("expected picture 0"));
}

TEST(ImageClientTest, ComesBackWhenRetryInfoSays) {
  FakeImageService service(
      {FailWith(StatusWith(grpc::StatusCode::RESOURCE_EXHAUSTED, "full", RetryAfter(3.25))),
       FailWith(StatusWith(grpc::StatusCode::UNAVAILABLE, "lost", RetryAfter(120))), Succeed});
  Calls calls(service);
  std::vector<std::string> reasons;
  const auto images =
      ImageClient(calls.options).Generate(Fox(), {.on_retry = [&](const absl::Status& why, double) {
                                            reasons.emplace_back(why.message());
                                          }});
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_THAT(images->pngs, ElementsAre("picture of a fox"));
  EXPECT_THAT(calls.waits, ElementsAre(3.25, 120));
  EXPECT_THAT(reasons, ElementsAre("full", "lost"));
}

TEST(ImageClientTest, ComesBackWhenPushbackSays) {
  FakeImageService service(
      {FailWithPushback(grpc::Status(grpc::StatusCode::UNAVAILABLE, "lost"), "1500"), Succeed});
  Calls calls(service);
  EXPECT_TRUE(calls.Generate().ok());
  EXPECT_THAT(calls.waits, ElementsAre(1.5));
}

TEST(ImageClientTest, StaysAwayWhenPushbackSays) {
  for (const std::string never : {"-1", "soon"}) {
    FakeImageService service(
        {FailWithPushback(grpc::Status(grpc::StatusCode::UNAVAILABLE, "lost"), never), Succeed});
    EXPECT_EQ(Calls(service).Generate().status().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(service.scripts_left(), 1u);
  }
}

TEST(ImageClientTest, BacksOffWhenNobodySays) {
  const grpc::Status lost(grpc::StatusCode::UNAVAILABLE, "lost");
  FakeImageService service({FailWith(lost), FailWith(lost), FailWith(lost), Succeed});
  Calls calls(service);
  calls.options.first_backoff_s = 1;
  calls.options.max_backoff_s = 2;
  EXPECT_TRUE(calls.Generate().ok());
  EXPECT_THAT(calls.waits, ElementsAre(DoubleNear(1, 0.2), DoubleNear(2, 0.4), DoubleNear(2, 0.4)));
}

TEST(ImageClientTest, AllTriesOfACallAreOneJob) {
  Mutex mutex;  // the service has threads of its own
  std::vector<std::string> ids;
  const auto fail = [&](grpc::ServerContext&, const v1::GenerateImageRequest& request, Writer&) {
    MutexLock lock(mutex);
    ids.push_back(request.request_id());
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "lost");
  };
  FakeImageService service({fail, fail, fail, fail, fail});
  Calls calls(service);
  calls.options.max_tries = 2;
  EXPECT_FALSE(calls.Generate().ok());
  EXPECT_FALSE(calls.Generate().ok());
  calls.options.max_tries = 1;
  EXPECT_FALSE(calls.Generate().ok());
  MutexLock lock(mutex);
  ASSERT_EQ(ids.size(), 5u);
  EXPECT_NE(ids[0], "");
  EXPECT_EQ(ids[0], ids[1]);
  EXPECT_NE(ids[0], ids[2]);
  EXPECT_EQ(ids[2], ids[3]);
  EXPECT_EQ(ids[4], "");
}

TEST(ImageClientTest, GivesUpAfterItsTries) {
  const grpc::Status lost(grpc::StatusCode::UNAVAILABLE, "lost");
  FakeImageService service({FailWith(lost), FailWith(lost), FailWith(lost)});
  Calls calls(service);
  calls.options.max_tries = 2;
  EXPECT_EQ(calls.Generate().status(), absl::UnavailableError("lost"));
  EXPECT_EQ(service.scripts_left(), 1u);
}

TEST(ImageClientTest, TriesOnceWhatWouldFailAgain) {
  for (const grpc::StatusCode code :
       {grpc::StatusCode::RESOURCE_EXHAUSTED, grpc::StatusCode::INVALID_ARGUMENT,
        grpc::StatusCode::INTERNAL, grpc::StatusCode::DEADLINE_EXCEEDED,
        grpc::StatusCode::CANCELLED}) {
    FakeImageService service({FailWith(grpc::Status(code, "no")), Succeed});
    EXPECT_EQ(static_cast<int>(Calls(service).Generate().status().code()), code);
    EXPECT_EQ(service.scripts_left(), 1u);
  }
}

TEST(ImageClientTest, DoesNotWaitBeyondItsDeadline) {
  FakeImageService service(
      {FailWith(StatusWith(grpc::StatusCode::RESOURCE_EXHAUSTED, "full", RetryAfter(3600))),
       Succeed});
  Calls calls(service);
  calls.options.deadline_s = 600;
  EXPECT_EQ(calls.Generate().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(calls.waits.empty());
}

TEST(ImageClientTest, HandsItsDeadlineToTheServer) {
  FakeImageService service(
      {[](grpc::ServerContext& context, const v1::GenerateImageRequest& request, Writer& writer) {
         const auto left = context.deadline() - std::chrono::system_clock::now();
         EXPECT_GT(left, std::chrono::minutes(1));
         EXPECT_LE(left, std::chrono::seconds(602));  // on the wire it is rounded up
         return Succeed(context, request, writer);
       },
       [](grpc::ServerContext& context, const v1::GenerateImageRequest& request, Writer& writer) {
         EXPECT_EQ(context.deadline(), std::chrono::system_clock::time_point::max());
         return Succeed(context, request, writer);
       }});
  Calls calls(service);
  calls.options.deadline_s = 600;
  EXPECT_TRUE(calls.Generate().ok());
  calls.options.deadline_s = 0;
  EXPECT_TRUE(calls.Generate().ok());
}

TEST(ImageClientTest, AStopCancelsOnTheServer) {
  std::promise<void> cancelled_on_server;
  std::stop_source source;
  FakeImageService service(
      {[&](grpc::ServerContext& context, const v1::GenerateImageRequest&, Writer& writer) {
        v1::StreamGenerateImageResponse event;
        event.mutable_step_done()->set_step(1);
        writer.Write(event);
        while (!context.IsCancelled()) writer.Write(event);
        cancelled_on_server.set_value();
        return grpc::Status::CANCELLED;
      }});
  const auto images =
      ImageClient(Calls(service).options)
          .Generate(Fox(), {.on_event = [&](const auto&) { source.request_stop(); }},
                    source.get_token());
  EXPECT_EQ(images.status().code(), absl::StatusCode::kCancelled);
  cancelled_on_server.get_future().get();
}

TEST(ImageClientTest, AStopEndsTheWaitForAnotherTry) {
  FakeImageService service(
      {FailWith(StatusWith(grpc::StatusCode::UNAVAILABLE, "lost", RetryAfter(3600))), Succeed});
  ImageClientOptions options;
  options.server = service.address();
  std::stop_source source;
  const auto images = ImageClient(options).Generate(
      Fox(), {.on_retry = [&](const absl::Status&, double) { source.request_stop(); }},
      source.get_token());
  EXPECT_EQ(images.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(service.scripts_left(), 1u);
}

TEST(ImageClientTest, NamesEveryViolationOnALineOfItsOwn) {
  google::rpc::BadRequest bad_request;
  for (const auto& [field, description] :
       {std::pair("width", "17 is no multiple of 16"), std::pair("seed", "odd")}) {
    bad_request.add_field_violations()->set_field(field);
    bad_request.mutable_field_violations()->rbegin()->set_description(description);
  }
  google::rpc::ErrorInfo info;
  info.set_reason("INVALID_REQUEST");
  FakeImageService service(
      {FailWith(StatusWith(grpc::StatusCode::INVALID_ARGUMENT, "bad", info, bad_request))});
  const absl::Status status = Calls(service).Generate().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "the request is invalid:\n  width: 17 is no multiple of 16\n  seed: odd");
}

TEST(ImageClientTest, IgnoresDetailsThatCannotBeParsed) {
  FakeImageService service(
      {FailWith(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "bad", "\xff\xff no message"))});
  EXPECT_EQ(Calls(service).Generate().status(), absl::InvalidArgumentError("bad"));
}

TEST(ImageClientTest, AMissingServerIsUnavailable) {
  std::string address;
  {
    FakeImageService service;
    address = service.address();
  }
  ImageClientOptions options;
  options.server = address;
  options.max_tries = 1;
  EXPECT_EQ(ImageClient(options).Generate(Fox()).status().code(), absl::StatusCode::kUnavailable);
}

TEST(ImageClientTest, ReadsTheServersInformation) {
  FakeImageService service;
  EXPECT_EQ(ImageClient(Calls(service).options).GetServerInfo().value().tessera_version(), "1.2.3");
}

TEST(ImageClientTest, HealthIsOkOnlyWhileServing) {
  FakeImageService service;
  ImageClient client(Calls(service).options);
  service.server().GetHealthCheckService()->SetServingStatus("tessera.v1.ImageService", true);
  EXPECT_TRUE(client.CheckHealth().ok());
  service.server().GetHealthCheckService()->SetServingStatus("tessera.v1.ImageService", false);
  EXPECT_EQ(client.CheckHealth(), absl::UnavailableError("NOT_SERVING"));
}

}  // namespace
}  // namespace tessera
