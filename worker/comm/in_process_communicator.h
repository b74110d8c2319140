#pragma once

#include <memory>
#include <vector>

#include "worker/comm/communicator.h"

namespace tessera {

class InProcessHub;

// N ranks as N threads of one process: tests, and emulating N devices on one. Each thread owns its
// communicator; a piece is read straight from the peer's tensors while the peer waits. On a device
// the exchange is ordered after what each rank has enqueued on its current stream, and before what
// it enqueues next.
//
// A communicator that is destroyed counts as a lost rank in any collective that its peers have yet
// to finish.
class InProcessCommunicator : public Communicator {
 public:
  // The communicators of a new group, by rank.
  static std::vector<std::unique_ptr<InProcessCommunicator>> MakeGroup(int size, double timeout_s);
  ~InProcessCommunicator() override;

  int rank() const override { return rank_; }
  int size() const override;
  void SetTimeout(double seconds) override { timeout_s_ = seconds; }
  absl::Status AllGather(std::span<const std::vector<at::Tensor>> pieces) override;
  absl::StatusOr<std::vector<int64_t>> Vote(int64_t mine) override;
  void Abort(const absl::Status& reason) override;
  int64_t bytes_received() const override { return bytes_received_; }

 private:
  InProcessCommunicator(std::shared_ptr<InProcessHub> hub, int rank, double timeout_s);

  const std::shared_ptr<InProcessHub> hub_;
  const int rank_;
  double timeout_s_;
  int64_t bytes_received_ = 0;
};

}  // namespace tessera
