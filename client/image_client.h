#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/server_error.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tessera/v1/image_service.grpc.pb.h"

namespace tessera {

// PEM texts.
struct ClientTls {
  std::string root_certificates;  // empty: the system's
  std::string certificate_chain;  // empty: the client shows no certificate
  std::string private_key;
};

struct ImageClientOptions {
  std::string server;            // HOST:PORT
  std::optional<ClientTls> tls;  // absent: plain text
  double deadline_s = 0;         // of a call with all its tries; 0: none
  int max_tries = 5;
  double first_backoff_s = 0.5;  // where the server does not say when to come back
  double max_backoff_s = 30;
  // Waits between tries; returns early on a stop. Empty: the clock's own time.
  std::function<void(double wait_s, const std::stop_token& stop)> wait;
};

struct GenerateHooks {
  // Queue position, attempts and steps, as they come; on the calling thread.
  std::function<void(const v1::StreamGenerateImageResponse& event)> on_event;
  // A try has failed, and another follows after wait_s.
  std::function<void(const absl::Status& why, double wait_s)> on_retry;
};

struct GeneratedImages {
  std::vector<std::string> pngs;
  v1::GenerationMetadata metadata;
};

// A tessera-server, called over one channel. Each call blocks until its answer, its deadline or a
// stop; calls that may succeed later are tried again. Errors are the server's, in words; a stop
// cancels on the server and is CANCELLED. Thread-safe.
class ImageClient {
 public:
  explicit ImageClient(const ImageClientOptions& options);

  absl::StatusOr<GeneratedImages> Generate(const v1::GenerateImageRequest& request,
                                           const GenerateHooks& hooks = {},
                                           const std::stop_token& stop = {});

  absl::StatusOr<v1::GetServerInfoResponse> GetServerInfo(const std::stop_token& stop = {});

  // OK while the server's image service is SERVING. One try.
  absl::Status CheckHealth(const std::stop_token& stop = {});

 private:
  using Deadline = std::chrono::system_clock::time_point;
  using Try = std::function<grpc::Status(grpc::ClientContext& context)>;
  using OnRetry = std::function<void(const absl::Status& why, double wait_s)>;

  ImageClient(const ImageClientOptions& options, const std::shared_ptr<grpc::Channel>& channel);

  Deadline DeadlineOfCall() const;
  // Calls `one_try` until it succeeds or its error stays.
  absl::Status Call(const Try& one_try, const OnRetry& on_retry, const std::stop_token& stop) const;
  ServerError CallOnce(const Try& one_try, Deadline deadline, const std::stop_token& stop) const;
  grpc::Status GenerateOnce(grpc::ClientContext& context, const v1::GenerateImageRequest& request,
                            const GenerateHooks& hooks, GeneratedImages& result) const;

  const ImageClientOptions options_;
  const std::unique_ptr<v1::ImageService::Stub> images_;
  const std::unique_ptr<grpc::health::v1::Health::Stub> health_;
};

}  // namespace tessera
