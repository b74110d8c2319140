#pragma once

#include <grpcpp/server_builder.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tessera/v1/image_service.grpc.pb.h"

namespace tessera {

// An image service in this process, on a loopback port, that answers each streaming call by the
// next of its scripts.
class FakeImageService : public v1::ImageService::Service {
 public:
  using Writer = grpc::ServerWriter<v1::StreamGenerateImageResponse>;
  using Script =
      std::function<grpc::Status(grpc::ServerContext&, const v1::GenerateImageRequest&, Writer&)>;

  explicit FakeImageService(std::vector<Script> scripts = {})
      : scripts_(scripts.begin(), scripts.end()) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeImageService() override { server_->Shutdown(); }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  grpc::Server& server() { return *server_; }

  // Scripts that no call has asked for.
  size_t scripts_left() {
    const std::lock_guard lock(mutex_);
    return scripts_.size();
  }

  grpc::Status StreamGenerateImage(grpc::ServerContext* context,
                                   const v1::GenerateImageRequest* request,
                                   Writer* writer) override {
    Script script;
    {
      const std::lock_guard lock(mutex_);
      if (scripts_.empty()) return {grpc::StatusCode::INTERNAL, "no script is left"};
      script = std::move(scripts_.front());
      scripts_.pop_front();
    }
    return script(*context, *request, *writer);
  }

  grpc::Status GetServerInfo(grpc::ServerContext*, const v1::GetServerInfoRequest*,
                             v1::GetServerInfoResponse* response) override {
    response->set_tessera_version("1.2.3");
    return grpc::Status::OK;
  }

 private:
  int port_ = 0;
  std::mutex mutex_;
  std::deque<Script> scripts_;
  std::unique_ptr<grpc::Server> server_;
};

// A status with google.rpc details.
template <typename... Details>
grpc::Status StatusWith(grpc::StatusCode code, const std::string& message,
                        const Details&... details) {
  google::rpc::Status status;
  status.set_code(code);
  status.set_message(message);
  (status.add_details()->PackFrom(details), ...);
  return {code, message, status.SerializeAsString()};
}

inline google::rpc::RetryInfo RetryAfter(double seconds) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(static_cast<int64_t>(seconds));
  retry.mutable_retry_delay()->set_nanos(
      static_cast<int32_t>((seconds - static_cast<int64_t>(seconds)) * 1e9));
  return retry;
}

}  // namespace tessera
