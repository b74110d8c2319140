#include "server/rpc/worker_link_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/server/rpc/server_harness.h"

namespace tessera {
namespace {

using testing::FakeRegistration;
using testing::FakeWorker;
using testing::FakeWorkerOptions;
using ::testing::HasSubstr;
using testing::ServerHarness;

TesseraServerOptions Options() {
  TesseraServerOptions options;
  options.core.group.size = 1;
  return options;
}

class WorkerLinkServiceTest : public ::testing::Test {
 protected:
  FakeWorkerOptions Worker(const std::string& name) {
    return {.server = h_.LinkAddress(),
            .token = testing::kToken,
            .registration = FakeRegistration(name)};
  }

  ServerHarness h_{Options()};
};

TEST_F(WorkerLinkServiceTest, RefusesAWrongToken) {
  for (const char* token : {"", "secre", "secreT", "secret1"}) {
    FakeWorkerOptions options = Worker("w");
    options.token = token;
    FakeWorker worker(options);
    EXPECT_EQ(worker.AwaitClosed().error_code(), grpc::StatusCode::UNAUTHENTICATED) << token;
  }
}

TEST_F(WorkerLinkServiceTest, RefusesAWorkerOfAnotherModel) {
  FakeWorker first(Worker("first"));
  first.AwaitJoined();
  FakeWorkerOptions options = Worker("second");
  options.registration.mutable_model()->set_fingerprint("another");
  FakeWorker second(options);
  const grpc::Status status = second.AwaitClosed();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("another"));
}

TEST_F(WorkerLinkServiceTest, RefusesAModelThatMakesNoSense) {
  FakeWorkerOptions options = Worker("w");
  options.registration.mutable_model()->set_min_size(-1);
  FakeWorker worker(options);
  const grpc::Status status = worker.AwaitClosed();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("model.min_size"));
}

TEST_F(WorkerLinkServiceTest, EndsTheLinkOfASilentWorker) {
  FakeWorker worker(Worker("w"));
  worker.AwaitJoined();
  worker.Hang();
  EXPECT_EQ(worker.AwaitClosed().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(WorkerLinkServiceTest, AProcessThatLinksAgainTakesItsOldPlace) {
  FakeWorker first(Worker("w"));
  const int64_t epoch = first.AwaitJoined();
  FakeWorker again(Worker("w"));
  EXPECT_GT(again.AwaitJoined(), epoch);
  EXPECT_EQ(first.AwaitClosed().error_code(), grpc::StatusCode::ABORTED);
}

}  // namespace
}  // namespace tessera
