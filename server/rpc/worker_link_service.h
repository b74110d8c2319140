#pragma once

#include <string>

#include "server/core/server_core.h"
#include "tessera/internal/v1/worker_link.grpc.pb.h"

namespace tessera {

// Where workers dial in. A call without the token ends UNAUTHENTICATED. Thread-safe.
class WorkerLinkService final : public internal::v1::WorkerLink::CallbackService {
 public:
  // `core` outlives the service.
  WorkerLinkService(ServerCore& core, std::string token) : core_(core), token_(std::move(token)) {}

  grpc::ServerBidiReactor<internal::v1::ConnectRequest, internal::v1::ConnectResponse>* Connect(
      grpc::CallbackServerContext* context) override;

 private:
  bool HasToken(const grpc::CallbackServerContext& context) const;

  ServerCore& core_;
  const std::string token_;
};

}  // namespace tessera
