#include "worker/link/outbox.h"

#include <utility>

namespace tessera {

void Outbox::Add(internal::v1::ConnectRequest message) {
  const MutexLock lock(mutex_);
  if (message.has_step_done() && !messages_.empty() && messages_.back().has_step_done()) {
    messages_.back() = std::move(message);
  } else {
    messages_.push_back(std::move(message));
  }
  changed_.notify_one();
}

std::optional<internal::v1::ConnectRequest> Outbox::Take() {
  const MutexLock lock(mutex_);
  while (!closed_ && messages_.empty()) changed_.wait(mutex_);
  if (closed_) return std::nullopt;
  internal::v1::ConnectRequest message = std::move(messages_.front());
  messages_.pop_front();
  return message;
}

void Outbox::Close() {
  const MutexLock lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace tessera
