#include "server/rpc/worker_connection.h"

#include <chrono>
#include <string>
#include <utility>

namespace tessera {
namespace {

// A write that lasts longer than this waits for a worker that does not read.
constexpr std::chrono::seconds kLongestWrite(1);

}  // namespace

WorkerConnection* WorkerConnection::Start(ServerCore& core, grpc::CallbackServerContext& context) {
  std::shared_ptr<WorkerConnection> connection(new WorkerConnection(core, context));
  {
    MutexLock lock(connection->mutex_);
    connection->self_ = connection;
  }
  connection->StartRead(&connection->incoming_);
  return connection.get();
}

void WorkerConnection::Send(internal::v1::ConnectResponse message) {
  MutexLock lock(mutex_);
  if (closed_) return;
  outgoing_.push_back(std::move(message));
  StartNextWrite();
}

void WorkerConnection::StartNextWrite() {
  if (writing_ || closed_ || outgoing_.empty()) return;
  writing_ = true;
  write_began_ = std::chrono::steady_clock::now();
  StartWrite(&outgoing_.front());
}

void WorkerConnection::Close(const absl::Status& status) {
  MutexLock lock(mutex_);
  if (closed_) return;
  closed_ = true;
  // gRPC sends the status after the message under way. Only where that could take for ever is the
  // call cancelled, because then the worker hears CANCELLED and no reason.
  if (writing_ && std::chrono::steady_clock::now() - write_began_ > kLongestWrite) {
    context_.TryCancel();
  }
  Finish(grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message())));
}

void WorkerConnection::OnReadDone(bool ok) {
  if (!ok) {
    Close(absl::OkStatus());
    return;
  }
  core_.OnLinkMessage(shared_from_this(), std::exchange(incoming_, {}));
  StartRead(&incoming_);
}

void WorkerConnection::OnWriteDone(bool ok) {
  MutexLock lock(mutex_);
  writing_ = false;
  outgoing_.pop_front();
  if (ok) StartNextWrite();  // else the read fails too, and closes
}

void WorkerConnection::OnDone() {
  std::shared_ptr<WorkerConnection> self;
  {
    MutexLock lock(mutex_);
    self.swap(self_);
  }
  core_.OnLinkClosed(std::move(self));
}

}  // namespace tessera
