#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/tessera_server.h"
#include "tessera/v1/image_service.grpc.pb.h"
#include "tests/support/fake_worker.h"
#include "tests/support/status_details.h"

namespace tessera::testing {

inline constexpr char kToken[] = "secret";

// A server on ephemeral ports and fake workers around it, over real gRPC.
class ServerHarness {
 public:
  explicit ServerHarness(TesseraServerOptions options) {
    options.worker_token = kToken;
    auto started = TesseraServer::Start(std::move(options));
    EXPECT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
    channel = grpc::CreateChannel(Address(), grpc::InsecureChannelCredentials());
    stub = v1::ImageService::NewStub(channel);
  }

  std::string Address() const { return absl::StrCat("127.0.0.1:", server->port()); }
  std::string LinkAddress() const { return absl::StrCat("127.0.0.1:", server->worker_port()); }

  FakeWorker& AddWorker(OnRunJob on_run_job = OnRunJob::kSucceed) {
    FakeWorkerOptions options = {.server = LinkAddress(),
                                 .token = kToken,
                                 .registration = FakeRegistration(absl::StrCat("w", ++last_pid_)),
                                 .on_run_job = on_run_job};
    options.registration.set_pid(last_pid_);
    workers.push_back(std::make_unique<FakeWorker>(std::move(options)));
    return *workers.back();
  }
  // A whole group, joined.
  void AddWorkers(int count, OnRunJob on_run_job = OnRunJob::kSucceed) {
    for (int i = 0; i < count; ++i) AddWorker(on_run_job);
    for (const auto& worker : workers) worker->AwaitJoined();
  }
  FakeWorker& RankZero() {
    for (const auto& worker : workers) {
      if (worker->rank() == 0) return *worker;
    }
    ADD_FAILURE() << "no worker has rank 0";
    return *workers.front();
  }

  std::unique_ptr<TesseraServer> server;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::ImageService::Stub> stub;
  std::vector<std::unique_ptr<FakeWorker>> workers;  // they go before the server

 private:
  int last_pid_ = 0;
};

}  // namespace tessera::testing
