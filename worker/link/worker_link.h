#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tessera/internal/v1/worker_link.grpc.pb.h"
#include "worker/link/device_thread.h"
#include "worker/link/outbox.h"
#include "worker/pipeline/engine.h"

namespace tessera {

struct WorkerLinkOptions {
  std::string server;  // HOST:PORT
  std::string token;
  std::string name;
  std::string device;
  std::string text_encoder;        // as WorkerFlags
  std::string advertised_address;  // empty: that of the interface which reaches the server
  int supervised_index = -1;
  double first_backoff_s = 0.1;
  double max_backoff_s = 5;
};

// A worker's side of the link to its server: registers, answers pings by itself whatever the engine
// is doing, hands commands to the device thread and its answers to the server. A lost server ends
// the epoch; weights stay.
class WorkerLink {
 public:
  WorkerLink(WorkerLinkOptions options, std::unique_ptr<Engine> engine);

  // Serves, and connects again after each loss, until `stop` or the server's Leave: OK. Otherwise
  // the server refuses this worker for good: UNAUTHENTICATED, PERMISSION_DENIED, INVALID_ARGUMENT,
  // FAILED_PRECONDITION or UNIMPLEMENTED.
  absl::Status Run(const std::stop_token& stop);

 private:
  using Stream =
      grpc::ClientReaderWriter<internal::v1::ConnectRequest, internal::v1::ConnectResponse>;
  enum class SessionEnd { kLost, kLostAfterWelcome, kLeave };

  // One connection from dial to loss. An error is the server's refusal.
  absl::StatusOr<SessionEnd> RunSession(const std::stop_token& stop);
  SessionEnd ReadUntilLost(Stream& stream, Outbox& outbox);
  internal::v1::ConnectRequest MakeHeartbeat(const internal::v1::Ping& ping);
  internal::v1::ConnectRequest MakeRegister(const std::string& address) const;

  const WorkerLinkOptions options_;
  DeviceThread device_;
};

}  // namespace tessera
