#include "worker/comm/gloo/abort_notice.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tessera {
namespace {

constexpr int kTag = 0;

// As it travels, between processes of the same build: fixed size, since a receive is posted before
// its length is known.
struct Wire {
  AbortNotice::Kind kind;
  int32_t about;
  int32_t length;
  char text[1012];
};

at::Tensor MakeBuffer() { return at::zeros({sizeof(Wire)}, at::kByte); }

}  // namespace

AbortNotices::AbortNotices(std::unique_ptr<GlooMesh> mesh, int rank, int size)
    : mesh_(std::move(mesh)), rank_(rank) {
  for (int peer = 0; peer < size; ++peer) {
    received_.push_back(MakeBuffer());
    receiving_.push_back(peer == rank ? GlooTransfer(peer, nullptr)
                                      : mesh_->Receive(received_[peer], peer, kTag));
  }
}

void AbortNotices::Send(const AbortNotice& notice, Deadline deadline) {
  Wire wire = {};
  wire.kind = notice.kind;
  wire.about = notice.about;
  wire.length = static_cast<int32_t>(std::min(notice.text.size(), sizeof(wire.text)));
  std::memcpy(wire.text, notice.text.data(), wire.length);
  const at::Tensor buffer = MakeBuffer();
  std::memcpy(buffer.data_ptr(), &wire, sizeof(wire));
  std::vector<GlooTransfer> sending;
  for (const GlooTransfer& peer : receiving_) {
    if (peer.peer() != rank_) sending.push_back(mesh_->Send(buffer, peer.peer(), kTag));
  }
  for (GlooTransfer& each : sending) each.Wait(deadline);
}

std::optional<AbortNotice> AbortNotices::Receive(int peer, Deadline deadline) {
  if (receiving_[peer].Wait(deadline) != GlooTransfer::Outcome::kDone) return std::nullopt;
  Wire wire;
  std::memcpy(&wire, received_[peer].data_ptr(), sizeof(wire));
  const auto size = static_cast<int32_t>(receiving_.size());
  if (wire.about < 0 || wire.about >= size || wire.length < 0 ||
      wire.length > static_cast<int32_t>(sizeof(wire.text))) {
    return std::nullopt;
  }
  return AbortNotice{wire.kind, wire.about, std::string(wire.text, wire.length)};
}

}  // namespace tessera
