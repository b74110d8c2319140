#include "worker/comm/host_staging.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace tessera {
namespace {

// So that every tensor of a run can be viewed with its own dtype.
constexpr int64_t kAlignment = 64;

int64_t Room(const at::Tensor& tensor) {
  return (static_cast<int64_t>(tensor.nbytes()) + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

std::vector<std::vector<at::Tensor>> HostStaging::CopyToHost(Pieces pieces, int rank) {
  starts_ = {0};
  for (const auto& piece : pieces) {
    int64_t end = starts_.back();
    for (const at::Tensor& tensor : piece) end += Room(tensor);
    starts_.push_back(end);
  }
  const at::Device device = pieces[rank].front().device();
  if (!buffer_.defined() || buffer_.numel() < starts_.back()) {
    buffer_ =
        at::empty({starts_.back()}, at::TensorOptions(at::kByte).pinned_memory(!device.is_cpu()));
  }
  int64_t offset = 0;
  for (const at::Tensor& tensor : pieces[rank]) {
    View(rank, offset, tensor).copy_(tensor, /*non_blocking=*/true);
    offset += Room(tensor);
  }
  if (!device.is_cpu()) {
    c10::impl::VirtualGuardImpl(device.type()).getStream(device).synchronize();
  }
  std::vector<std::vector<at::Tensor>> runs;
  for (size_t each = 0; each < pieces.size(); ++each) {
    runs.push_back({buffer_.slice(0, starts_[each], starts_[each + 1])});
  }
  return runs;
}

void HostStaging::CopyToDevice(Pieces pieces, int rank) {
  for (int peer = 0; peer < std::ssize(pieces); ++peer) {
    if (peer == rank) continue;
    int64_t offset = 0;
    for (const at::Tensor& tensor : pieces[peer]) {
      tensor.copy_(View(peer, offset, tensor), /*non_blocking=*/true);
      offset += Room(tensor);
    }
  }
}

at::Tensor HostStaging::View(int rank, int64_t offset, const at::Tensor& like) const {
  const int64_t start = starts_[rank] + offset;
  return buffer_.slice(0, start, start + static_cast<int64_t>(like.nbytes()))
      .view(like.scalar_type())
      .view(like.sizes());
}

}  // namespace tessera
