#include "server/rpc/worker_link_service.h"

#include <openssl/crypto.h>

#include "server/rpc/worker_connection.h"
#include "spdlog/spdlog.h"

namespace tessera {
namespace {

constexpr char kTokenKey[] = "x-tessera-token";

class RefusedConnection final
    : public grpc::ServerBidiReactor<internal::v1::ConnectRequest, internal::v1::ConnectResponse> {
 public:
  explicit RefusedConnection(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

bool WorkerLinkService::HasToken(const grpc::CallbackServerContext& context) const {
  const auto [begin, end] = context.client_metadata().equal_range(kTokenKey);
  if (begin == end) return false;
  const grpc::string_ref given = begin->second;
  return given.size() == token_.size() &&
         CRYPTO_memcmp(given.data(), token_.data(), token_.size()) == 0;
}

grpc::ServerBidiReactor<internal::v1::ConnectRequest, internal::v1::ConnectResponse>*
WorkerLinkService::Connect(grpc::CallbackServerContext* context) {
  if (HasToken(*context)) return WorkerConnection::Start(core_, *context);
  spdlog::warn("event=worker_refused peer={} why=\"no valid token\"", context->peer());
  return new RefusedConnection(
      grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "x-tessera-token is missing or wrong"));
}

}  // namespace tessera
