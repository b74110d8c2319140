#include "server/worker_connection.h"

#include <string>
#include <utility>

namespace tessera {
namespace {

// A link that does not move is closed; a worker gets a few messages a second.
constexpr size_t kMaxOutgoing = 256;

}  // namespace

WorkerConnection* WorkerConnection::Start(ServerCore& core, grpc::CallbackServerContext& context) {
  std::shared_ptr<WorkerConnection> connection(new WorkerConnection(core, context));
  connection->self_ = connection;
  connection->StartRead(&connection->incoming_);
  return connection.get();
}

void WorkerConnection::Send(internal::v1::ConnectResponse message) {
  bool stuck = false;
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    outgoing_.push_back(std::move(message));
    stuck = outgoing_.size() > kMaxOutgoing;
    StartNextWrite();
  }
  if (stuck) Close(absl::UnavailableError("the worker does not read"));
}

void WorkerConnection::StartNextWrite() {
  if (writing_ || closed_ || outgoing_.empty()) return;
  writing_ = true;
  StartWrite(&outgoing_.front());
}

void WorkerConnection::Close(const absl::Status& status) {
  MutexLock lock(mutex_);
  if (closed_) return;
  closed_ = true;
  if (writing_) context_.TryCancel();  // else a worker that does not read could hold the end up
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
  core_.OnLinkClosed(shared_from_this());
  self_.reset();
}

}  // namespace tessera
