#pragma once

#include <grpcpp/server_builder.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "absl/strings/str_cat.h"
#include "tessera/internal/v1/worker_link.grpc.pb.h"
#include "tests/unit/worker/link/blocking_queue.h"

namespace tessera {

// A server of the link, in this process, on a loopback port; the test speaks for it.
class FakeServer : public internal::v1::WorkerLink::Service {
 public:
  using Stream =
      grpc::ServerReaderWriter<internal::v1::ConnectResponse, internal::v1::ConnectRequest>;

  // One worker's connection.
  struct Session {
    Session(grpc::ServerContext& call, Stream& messages) : context(call), stream(messages) {}

    grpc::ServerContext& context;
    Stream& stream;
    BlockingQueue<internal::v1::ConnectRequest> received;

    std::mutex mutex;  // held while the call is used from outside its handler
    bool ended = false;

    void Send(const internal::v1::ConnectResponse& message) {
      const std::lock_guard lock(mutex);
      if (!ended) stream.Write(message);
    }
    void Close() {
      const std::lock_guard lock(mutex);
      if (!ended) context.TryCancel();
    }
  };

  // Port 0: any free one.
  explicit FakeServer(int port = 0) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  // The next worker to connect.
  std::shared_ptr<Session> Accept() { return sessions_.Next(); }

  grpc::Status Connect(grpc::ServerContext* context, Stream* stream) override {
    const auto token = context->client_metadata().find("x-tessera-token");
    if (token == context->client_metadata().end() || token->second != "secret") {
      return {grpc::StatusCode::UNAUTHENTICATED, "x-tessera-token: not this server's"};
    }
    const auto session = std::make_shared<Session>(*context, *stream);
    sessions_.Add(session);
    for (internal::v1::ConnectRequest message; stream->Read(&message);)
      session->received.Add(message);
    const std::lock_guard lock(session->mutex);
    session->ended = true;
    return grpc::Status::OK;
  }

 private:
  int port_ = 0;
  BlockingQueue<std::shared_ptr<Session>> sessions_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace tessera
