#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "server/core/server_core.h"
#include "server/loop/event_loop.h"
#include "server/rpc/image_service.h"
#include "server/rpc/reply_limit.h"
#include "server/rpc/worker_link_service.h"

namespace tessera {

// PEM texts.
struct TlsOptions {
  std::string certificate_chain;
  std::string private_key;
  std::string client_ca;  // not empty: clients must show a certificate of this authority
};

struct TesseraServerOptions {
  std::string listen = "127.0.0.1:0";         // public; port 0: any
  std::string worker_listen = "127.0.0.1:0";  // of the workers' links; port 0: any
  std::optional<TlsOptions> tls;              // of the public listener
  std::string worker_token;
  int64_t max_unary_reply_bytes = kDefaultMaxUnaryReplyBytes;
  ServerCoreOptions core;
  std::optional<ModelInfo> model;      // absent: the first worker's
  WorkerLauncher* launcher = nullptr;  // outlives the server
  double shutdown_grace_s = 5;         // for replies that are under way when the server stops
};

// The running server: two listeners, health, reflection, and the event loop's thread. Stops when
// destroyed. Thread-safe.
class TesseraServer {
 public:
  // UNAVAILABLE when an address cannot be listened on; INVALID_ARGUMENT when TLS is no good.
  static absl::StatusOr<std::unique_ptr<TesseraServer>> Start(TesseraServerOptions options);
  ~TesseraServer();

  int port() const { return port_; }
  int worker_port() const { return worker_port_; }
  ServerCore& core() { return core_; }

  // NOT_SERVING; new jobs are refused; `drained` is called from the event loop's thread when the
  // admitted ones have ended.
  void Drain(absl::AnyInvocable<void()> drained);

  // Ends jobs that are left, lets replies be sent, and tells the workers to leave. Idempotent; one
  // thread calls it.
  void Stop();

 private:
  explicit TesseraServer(TesseraServerOptions options);
  absl::Status StartListeners();
  absl::Status StartPublic();
  absl::Status StartWorkerLink();
  void SetServing(bool serving);

  const TesseraServerOptions options_;
  const SteadyClock clock_;
  EventLoop loop_;
  ServerCore core_;
  ImageService image_service_;
  WorkerLinkService worker_link_service_;
  std::unique_ptr<grpc::Server> public_server_;
  std::unique_ptr<grpc::Server> worker_server_;
  int port_ = 0;
  int worker_port_ = 0;
  std::jthread loop_thread_;
};

}  // namespace tessera
