#include "worker/comm/nccl/nccl_communicator.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/sleep.h"
#include "common/base/status_macros.h"
#include "worker/base/exception_status.h"
#include "worker/comm/process_watchdog.h"

namespace tessera {
namespace {

// Of the join timeout: what the control connections may take. Introductions and NCCL each have half
// of the rest.
constexpr double kControlShare = 0.5;

// How a rank introduces itself, between processes of the same build.
struct PeerInfo {
  char gpu[128];
  NcclUniqueId id;  // rank 0's counts
};

c10::Stream CurrentStream(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

absl::StatusOr<std::vector<PeerInfo>> ExchangePeerInfo(GlooCommunicator& control,
                                                       const PeerInfo& mine) {
  std::vector<PeerInfo> peers(control.size());
  peers[control.rank()] = mine;
  std::vector<std::vector<at::Tensor>> pieces;
  pieces.reserve(peers.size());
  for (PeerInfo& peer : peers)
    pieces.push_back({at::from_blob(&peer, {sizeof(PeerInfo)}, at::kByte)});
  TESSERA_RETURN_IF_ERROR(control.AllGather(pieces));
  for (PeerInfo& peer : peers) peer.gpu[sizeof(peer.gpu) - 1] = '\0';
  return peers;
}

absl::Status CheckGpus(const std::vector<PeerInfo>& peers) {
  for (size_t second = 1; second < peers.size(); ++second) {
    for (size_t first = 0; first < second; ++first) {
      if (std::strcmp(peers[first].gpu, peers[second].gpu) != 0) continue;
      return absl::FailedPreconditionError(absl::StrFormat(
          "ranks %d and %d share a GPU (%s): NCCL wants one for each rank, Gloo does not", first,
          second, peers[first].gpu));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<NcclCommunicator>> NcclCommunicator::Join(const NcclOptions& options,
                                                                         GroupStore* hosted,
                                                                         NcclLibrary nccl) {
  GlooOptions control_options = options.control;
  control_options.join_timeout_s *= kControlShare;
  TESSERA_ASSIGN_OR_RETURN(auto control, GlooCommunicator::Join(control_options, hosted));
  std::unique_ptr<NcclCommunicator> communicator(
      new NcclCommunicator(options, std::move(control), std::move(nccl)));
  communicator->SetTimeout(options.control.join_timeout_s * (1 - kControlShare) / 2);
  const std::stop_callback cancel(options.control.cancel, [&] {
    communicator->Abort(absl::CancelledError("the join was abandoned"));
  });
  TESSERA_RETURN_IF_ERROR(communicator->Connect(options.gpu));
  communicator->SetTimeout(options.control.collective_timeout_s);
  return communicator;
}

NcclCommunicator::NcclCommunicator(const NcclOptions& options,
                                   std::unique_ptr<GlooCommunicator> control, NcclLibrary nccl)
    : device_(options.device),
      abort_limit_s_(options.abort_limit_s),
      nccl_(std::move(nccl)),
      control_(std::move(control)),
      stream_(CurrentStream(options.device)) {}

NcclCommunicator::~NcclCommunicator() {
  control_.reset();  // first, so that the peers learn of it at once
  Close();
}

absl::Status NcclCommunicator::Connect(const std::string& gpu) {
  PeerInfo mine = {};
  gpu.copy(mine.gpu, sizeof(mine.gpu) - 1);
  if (rank() == 0) {
    const NcclResult result = nccl_.get_unique_id(&mine.id);
    if (result != NcclResult::kSuccess) return AbortWith(ErrorOf(result));
  }
  TESSERA_ASSIGN_OR_RETURN(const std::vector<PeerInfo> peers, ExchangePeerInfo(*control_, mine));
  const absl::Status distinct = CheckGpus(peers);
  if (!distinct.ok()) return AbortWith(distinct);
  return control_->RunWatched(
      [&](const std::stop_token& stop) { return Initialise(peers.front().id, stop); });
}

absl::Status NcclCommunicator::AbortWith(const absl::Status& reason) {
  Abort(reason);
  return reason;
}

absl::Status NcclCommunicator::Initialise(const NcclUniqueId& id, const std::stop_token& stop) try {
  const c10::DeviceGuard guard(device_);
  NcclConfig config;
  return Await(nccl_.comm_init_rank_config(&comm_, size(), id, rank(), &config), stop);
} catch (...) {
  return StatusFromCurrentException();
}

absl::Status NcclCommunicator::AllGather(std::span<const std::vector<at::Tensor>> pieces) {
  const bool on_device = CheckPieces(pieces, size()).ok() && !pieces[rank()].empty() &&
                         pieces[rank()].front().device() == device_;
  if (on_device) {
    stream_ = CurrentStream(device_);
    const absl::Status status =
        control_->RunWatched([&](const std::stop_token& stop) { return Exchange(pieces, stop); });
    if (!status.ok()) {
      Close();
      return status;
    }
  } else {
    TESSERA_RETURN_IF_ERROR(control_->AllGather(pieces));
  }
  for (int peer = 0; peer < size(); ++peer) {
    if (peer != rank()) bytes_received_ += PieceBytes(pieces[peer]);
  }
  return absl::OkStatus();
}

absl::Status NcclCommunicator::Exchange(Pieces pieces, const std::stop_token& stop) try {
  const c10::DeviceGuard guard(device_);
  void* const stream = device_.is_cpu() ? nullptr : stream_.native_handle();
  NcclResult failure = nccl_.group_start();
  if (failure != NcclResult::kSuccess) return ErrorOf(failure);
  const auto note = [&](NcclResult result) {
    if (failure == NcclResult::kSuccess && result != NcclResult::kInProgress) failure = result;
  };
  for (int step = 1; step < size(); ++step) {
    const int to = (rank() + step) % size();
    const int from = (rank() + size() - step) % size();
    for (const at::Tensor& tensor : pieces[rank()]) {
      if (tensor.numel() == 0) continue;
      note(nccl_.send(tensor.const_data_ptr(), tensor.nbytes(), kNcclUint8, to, comm_, stream));
    }
    for (const at::Tensor& tensor : pieces[from]) {
      if (tensor.numel() == 0) continue;
      note(nccl_.recv(tensor.mutable_data_ptr(), tensor.nbytes(), kNcclUint8, from, comm_, stream));
    }
  }
  const NcclResult ended = nccl_.group_end();  // also after an error
  return Await(failure == NcclResult::kSuccess ? ended : failure, stop);
} catch (...) {
  return StatusFromCurrentException();
}

absl::Status NcclCommunicator::Await(NcclResult result, const std::stop_token& stop) {
  while (result == NcclResult::kInProgress ||
         (result == NcclResult::kSuccess && !stream_.query())) {
    if (stop.stop_requested()) return absl::CancelledError("NCCL was interrupted");
    std::this_thread::yield();
    const NcclResult asked = nccl_.comm_get_async_error(comm_, &result);
    if (asked != NcclResult::kSuccess) result = asked;
  }
  // Another rank is gone, which is no error of this one; the control connections tell which.
  if (result == NcclResult::kRemoteError) SleepUntilStop(stop);
  return ErrorOf(result);
}

absl::Status NcclCommunicator::ErrorOf(NcclResult result) const {
  if (result == NcclResult::kSuccess) return absl::OkStatus();
  const char* const detail = nccl_.get_last_error(comm_);
  return absl::InternalError(
      absl::StrCat("NCCL: ", nccl_.get_error_string(result),
                   detail == nullptr || *detail == '\0' ? "" : absl::StrCat(" (", detail, ")")));
}

void NcclCommunicator::Close() {
  if (comm_ == nullptr) return;
  const ProcessWatchdog watchdog(abort_limit_s_, "ncclCommAbort");
  nccl_.comm_abort(std::exchange(comm_, nullptr));
  try {
    stream_.synchronize();
  } catch (...) {
    EndProcess(absl::StrCat("the device is in error after ncclCommAbort: ",
                            MessageFromCurrentException()));
  }
}

}  // namespace tessera
