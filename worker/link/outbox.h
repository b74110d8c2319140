#pragma once

#include <condition_variable>
#include <deque>
#include <optional>

#include "common/base/mutex.h"
#include "tessera/internal/v1/worker_link.pb.h"

namespace tessera {

// What a worker has to say on one connection, in order. Adding never blocks: a StepDone replaces
// one that still waits at the end, so what can pile up is one job's pictures and a few small
// messages. Thread-safe.
class Outbox {
 public:
  void Add(internal::v1::ConnectRequest message);

  // Waits for a message; none once the outbox is closed, whatever is left in it.
  std::optional<internal::v1::ConnectRequest> Take();

  void Close();

 private:
  Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<internal::v1::ConnectRequest> messages_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tessera
