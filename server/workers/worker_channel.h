#pragma once

#include "absl/status/status.h"
#include "tessera/internal/v1/worker_link.pb.h"

namespace tessera {

// The server's end of one worker's link. Thread-safe; no call blocks.
class WorkerChannel {
 public:
  virtual ~WorkerChannel() = default;

  // Dropped once the link is closed.
  virtual void Send(internal::v1::ConnectResponse message) = 0;

  // Sends what waits, then ends the link with `status`. Idempotent.
  virtual void Close(const absl::Status& status) = 0;
};

}  // namespace tessera
