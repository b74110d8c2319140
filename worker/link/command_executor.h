#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "tessera/internal/v1/worker_link.pb.h"
#include "worker/pipeline/engine.h"

namespace tessera {

// The server's commands, carried out on an engine: a message in, a message out. What tensor code
// throws becomes a Status here. Used by the device thread only.
class CommandExecutor {
 public:
  // What a job says before it is done: StageBegun, StepDone and PixelChunk, from rank 0.
  using Send = std::function<void(internal::v1::ConnectRequest)>;

  // `engine` is not owned. `on_step` is called after each step on every rank.
  CommandExecutor(Engine& engine, std::function<void()> on_step);

  // `address` is what this rank's sockets bind to.
  internal::v1::StoreReady HostStore(const internal::v1::HostStore& command,
                                     const std::string& address);
  internal::v1::GroupJoined JoinGroup(const internal::v1::JoinGroup& command,
                                      const std::string& address);
  // The group is left when the job has broken it: closed connections tell the other ranks.
  internal::v1::JobDone RunJob(const internal::v1::RunJob& command,
                               const std::atomic<StopReason>& stop, const Send& send);
  internal::v1::EpochEnded EndEpoch(const internal::v1::EndEpoch& command);

 private:
  absl::StatusOr<ImageResult> Generate(const internal::v1::RunJob& command,
                                       const std::atomic<StopReason>& stop, const Send& send);
  void LeaveGroup();

  Engine& engine_;
  const std::function<void()> on_step_;
  int rank_ = 0;  // in the group last joined
};

}  // namespace tessera
