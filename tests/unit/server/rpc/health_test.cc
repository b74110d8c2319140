#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/unit/server/rpc/server_harness.h"

namespace tessera {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using testing::OnRunJob;
using testing::ServerHarness;

constexpr int kSize = 2;
constexpr char kService[] = "tessera.v1.ImageService";

TesseraServerOptions Options() {
  TesseraServerOptions options;
  options.core.group.size = kSize;
  return options;
}

// A Watch call.
class Watch {
 public:
  Watch(grpc::health::v1::Health::Stub& stub, const std::string& service) {
    HealthCheckRequest request;
    request.set_service(service);
    stream_ = stub.Watch(&context_, request);
  }
  ~Watch() { context_.TryCancel(); }

  HealthCheckResponse::ServingStatus Next() {
    HealthCheckResponse response;
    EXPECT_TRUE(stream_->Read(&response));
    return response.status();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> stream_;
};

class HealthTest : public ::testing::Test {
 protected:
  HealthTest() : health_(grpc::health::v1::Health::NewStub(h_.channel)) {}

  grpc::Status Check(const std::string& service, HealthCheckResponse::ServingStatus* status) {
    grpc::ClientContext context;
    HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    const grpc::Status result = health_->Check(&context, request, &response);
    *status = response.status();
    return result;
  }

  ServerHarness h_{Options()};
  std::unique_ptr<grpc::health::v1::Health::Stub> health_;
};

TEST_F(HealthTest, ServesOnlyWhileAWholeGroupIsThere) {
  for (const char* service : {"", kService}) {
    HealthCheckResponse::ServingStatus status;
    ASSERT_TRUE(Check(service, &status).ok());
    EXPECT_EQ(status, HealthCheckResponse::NOT_SERVING);
  }
  Watch whole_server(*health_, "");
  Watch service(*health_, kService);
  EXPECT_EQ(whole_server.Next(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(service.Next(), HealthCheckResponse::NOT_SERVING);

  h_.AddWorkers(kSize);
  EXPECT_EQ(whole_server.Next(), HealthCheckResponse::SERVING);
  EXPECT_EQ(service.Next(), HealthCheckResponse::SERVING);

  h_.workers[1]->Die();
  EXPECT_EQ(whole_server.Next(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(service.Next(), HealthCheckResponse::NOT_SERVING);

  h_.AddWorker();
  EXPECT_EQ(whole_server.Next(), HealthCheckResponse::SERVING);
  EXPECT_EQ(service.Next(), HealthCheckResponse::SERVING);
}

TEST_F(HealthTest, AWorkerThatAnswersNoHeartbeatIsNotServing) {
  h_.AddWorkers(kSize);
  Watch watch(*health_, kService);
  while (watch.Next() != HealthCheckResponse::SERVING) {
  }
  h_.workers[0]->Hang();
  EXPECT_EQ(watch.Next(), HealthCheckResponse::NOT_SERVING);
}

TEST_F(HealthTest, DoesNotServeWhileDraining) {
  h_.AddWorkers(kSize, OnRunJob::kHold);
  Watch watch(*health_, kService);
  while (watch.Next() != HealthCheckResponse::SERVING) {
  }
  grpc::ClientContext context;
  const auto running = h_.stub->StreamGenerateImage(&context, {});
  h_.RankZero().AwaitRun();
  h_.server->Drain([] {});
  EXPECT_EQ(watch.Next(), HealthCheckResponse::NOT_SERVING);
}

TEST_F(HealthTest, AnUnknownServiceIsNotFound) {
  HealthCheckResponse::ServingStatus status;
  EXPECT_EQ(Check("tessera.v2.ImageService", &status).error_code(), grpc::StatusCode::NOT_FOUND);
  Watch watch(*health_, "tessera.v2.ImageService");
  EXPECT_EQ(watch.Next(), HealthCheckResponse::SERVICE_UNKNOWN);
}

}  // namespace
}  // namespace tessera
