#include "worker/comm/in_process_communicator.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <optional>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "worker/base/exception_status.h"
#include "worker/comm/in_process_hub.h"
#include "worker/comm/pieces.h"
#include "worker/comm/rank_error.h"

namespace tessera {
namespace {

using Offer = InProcessHub::Offer;

// The stream that this thread's work on the device of `pieces` goes to; none on the CPU.
std::optional<c10::Stream> CurrentStream(Pieces pieces) {
  if (pieces.front().empty() || pieces.front().front().is_cpu()) return std::nullopt;
  const at::Device device = pieces.front().front().device();
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

absl::Status CopyPiece(std::span<const at::Tensor> from, std::span<const at::Tensor> to,
                       int rank) try {
  if (from.size() != to.size()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "all-gather: rank %d contributes %d tensors, expected %d", rank, from.size(), to.size()));
  }
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i].sizes() != to[i].sizes() || from[i].scalar_type() != to[i].scalar_type()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "all-gather: tensor %d of rank %d has another shape or dtype than expected", i, rank));
    }
    to[i].copy_(from[i], /*non_blocking=*/true);
  }
  return absl::OkStatus();
} catch (...) {
  return absl::InternalError(
      absl::StrFormat("all-gather from rank %d: %s", rank, MessageFromCurrentException()));
}

}  // namespace

std::vector<std::unique_ptr<InProcessCommunicator>> InProcessCommunicator::MakeGroup(
    int size, double timeout_s) {
  const auto hub = std::make_shared<InProcessHub>(size);
  std::vector<std::unique_ptr<InProcessCommunicator>> group;
  group.reserve(size);
  for (int rank = 0; rank < size; ++rank) {
    group.emplace_back(new InProcessCommunicator(hub, rank, timeout_s));
  }
  return group;
}

InProcessCommunicator::InProcessCommunicator(std::shared_ptr<InProcessHub> hub, int rank,
                                             double timeout_s)
    : hub_(std::move(hub)), rank_(rank), timeout_s_(timeout_s) {}

InProcessCommunicator::~InProcessCommunicator() { hub_->Leave(rank_); }

int InProcessCommunicator::size() const { return hub_->size(); }

absl::Status InProcessCommunicator::AllGather(std::span<const std::vector<at::Tensor>> pieces) {
  const absl::Status valid = CheckPieces(pieces, size());
  if (!valid.ok()) Abort(valid);
  Offer mine;
  std::vector<std::shared_ptr<c10::Event>> reads;
  std::optional<c10::Stream> stream;
  if (valid.ok()) {
    mine.piece = pieces[rank_];
    stream = CurrentStream(pieces);
  }
  if (stream.has_value()) {
    mine.written = std::make_shared<c10::Event>(stream->device_type());
    mine.read = std::make_shared<c10::Event>(stream->device_type());
    mine.written->record(*stream);
  }
  const auto take = [&](std::span<const Offer> offers) -> absl::Status {
    for (int peer = 0; peer < size(); ++peer) {
      if (peer == rank_) continue;
      if (stream.has_value() && offers[peer].written) offers[peer].written->block(*stream);
      TESSERA_RETURN_IF_ERROR(CopyPiece(offers[peer].piece, pieces[peer], peer));
      if (offers[peer].read) reads.push_back(offers[peer].read);
      bytes_received_ += PieceBytes(pieces[peer]);
    }
    if (stream.has_value()) mine.read->record(*stream);
    return absl::OkStatus();
  };
  TESSERA_RETURN_IF_ERROR(hub_->Exchange(rank_, mine, timeout_s_, take));
  // What this rank enqueues next may overwrite its piece.
  if (stream.has_value()) {
    for (const auto& read : reads) read->block(*stream);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int64_t>> InProcessCommunicator::Vote(int64_t mine) {
  std::vector<int64_t> votes;
  Offer offer;
  offer.vote = mine;
  TESSERA_RETURN_IF_ERROR(
      hub_->Exchange(rank_, offer, timeout_s_, [&votes](std::span<const Offer> offers) {
        for (const Offer& each : offers) votes.push_back(each.vote);
        return absl::OkStatus();
      }));
  return votes;
}

void InProcessCommunicator::Abort(const absl::Status& reason) {
  hub_->Fail(RankFailedError(rank_, reason));
}

}  // namespace tessera
