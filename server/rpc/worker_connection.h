#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "common/base/mutex.h"
#include "server/core/server_core.h"
#include "server/workers/worker_channel.h"
#include "tessera/internal/v1/worker_link.pb.h"

namespace tessera {

// One Connect call: passes what the worker says to the core, in order, and sends what the core
// says. Owns itself from Start until gRPC is done with it; then the core hears that the link is
// closed, as the last thing about it. What waits to be sent is bounded by the pool, which closes
// the link of a worker that is silent.
class WorkerConnection final
    : public grpc::ServerBidiReactor<internal::v1::ConnectRequest, internal::v1::ConnectResponse>,
      public WorkerChannel,
      public std::enable_shared_from_this<WorkerConnection> {
 public:
  static WorkerConnection* Start(ServerCore& core, grpc::CallbackServerContext& context);

  void Send(internal::v1::ConnectResponse message) override;
  void Close(const absl::Status& status) override;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  WorkerConnection(ServerCore& core, grpc::CallbackServerContext& context)
      : core_(core), context_(context) {}

  void StartNextWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  ServerCore& core_;
  grpc::CallbackServerContext& context_;
  internal::v1::ConnectRequest incoming_;  // gRPC's while a read is under way

  Mutex mutex_;
  std::shared_ptr<WorkerConnection> self_ ABSL_GUARDED_BY(mutex_);
  std::deque<internal::v1::ConnectResponse> outgoing_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;  // the front of outgoing_ is gRPC's
  std::chrono::steady_clock::time_point write_began_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tessera
