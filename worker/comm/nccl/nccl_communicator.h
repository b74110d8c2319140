#pragma once

#include <c10/core/Device.h>
#include <c10/core/Stream.h>

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "worker/comm/communicator.h"
#include "worker/comm/gloo/gloo_communicator.h"
#include "worker/comm/nccl/nccl_library.h"
#include "worker/comm/pieces.h"

namespace tessera {

struct NcclOptions {
  GlooOptions control;            // the membership, its addresses and its time limits
  at::Device device = at::kCUDA;  // this rank's GPU
  // The GPU's name among those of all hosts, at most 127 bytes: no two ranks may have the same.
  std::string gpu;
  double abort_limit_s = 30;  // what ncclCommAbort may take before this process ends
};

// N ranks as N processes, each with a GPU of its own: tensors on the device go by NCCL, everything
// else by a GlooCommunicator, which also watches the peers while NCCL works, ends every collective
// in time, and knows who is to blame. NEVER RUN ON A GPU YET: its tests move CPU memory by a
// stand-in for the library.
//
// NCCL is only ever polled: its communicator does not block, and the host waits for the stream
// within the collective. After an error, a time-out or an Abort the NCCL communicator is aborted,
// once and by the owner's thread, which frees the stream of kernels that wait for a lost peer;
// weights stay, and the next epoch makes another. If that does not end within abort_limit_s, or
// leaves the device in error (CUDA's errors are sticky), nothing can be saved, and the process
// ends.
//
// NCCL finds its own network interface (NCCL_SOCKET_IFNAME), and is as unauthenticated as Gloo.
class NcclCommunicator : public Communicator {
 public:
  // As GlooCommunicator::Join. All ranks of a group are to choose NCCL. FAILED_PRECONDITION when
  // two ranks share a GPU, which NCCL refuses.
  static absl::StatusOr<std::unique_ptr<NcclCommunicator>> Join(const NcclOptions& options,
                                                                GroupStore* hosted,
                                                                NcclLibrary nccl);
  ~NcclCommunicator() override;

  int rank() const override { return control_->rank(); }
  int size() const override { return control_->size(); }
  void SetTimeout(double seconds) override { control_->SetTimeout(seconds); }
  absl::Status AllGather(std::span<const std::vector<at::Tensor>> pieces) override;
  absl::StatusOr<std::vector<int64_t>> Vote(int64_t mine) override { return control_->Vote(mine); }
  void Abort(const absl::Status& reason) override { control_->Abort(reason); }
  int64_t bytes_received() const override { return bytes_received_; }

 private:
  NcclCommunicator(const NcclOptions& options, std::unique_ptr<GlooCommunicator> control,
                   NcclLibrary nccl);

  absl::Status Connect(const std::string& gpu);
  absl::Status AbortWith(const absl::Status& reason);

  // These return soon after a request to stop, with any error.
  absl::Status Initialise(const NcclUniqueId& id, const std::stop_token& stop);
  absl::Status Exchange(Pieces pieces, const std::stop_token& stop);
  // Polls until NCCL, whose latest word is `result`, and the stream are done.
  absl::Status Await(NcclResult result, const std::stop_token& stop);

  absl::Status ErrorOf(NcclResult result) const;
  void Close();

  const at::Device device_;
  const double abort_limit_s_;
  const NcclLibrary nccl_;
  std::unique_ptr<GlooCommunicator> control_;
  c10::Stream stream_;         // the owner's current one; set before each use of the device
  NcclHandle comm_ = nullptr;  // null: not made yet, or aborted
  int64_t bytes_received_ = 0;
};

}  // namespace tessera
