#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "worker/comm/pieces.h"

namespace tessera {

// Carries the pieces of an all-gather between a device and host memory (pinned, and kept for the
// next call), each rank's as one contiguous run of bytes. Ordered on the calling thread's current
// stream. One call at a time: CopyToHost, then CopyToDevice.
class HostStaging {
 public:
  // Copies this rank's piece to the host and waits for it. Returns one byte tensor for each rank,
  // of the same size on all ranks: the first is to be sent, the others to be filled. They stay
  // valid until the next CopyToHost.
  std::vector<std::vector<at::Tensor>> CopyToHost(Pieces pieces, int rank);

  // Copies the other ranks' bytes to their places on the device; does not wait. The next CopyToHost
  // does, provided the stream is the same.
  void CopyToDevice(Pieces pieces, int rank);

 private:
  at::Tensor View(int rank, int64_t offset, const at::Tensor& like) const;

  at::Tensor buffer_;            // bytes
  std::vector<int64_t> starts_;  // of each rank's run in buffer_, and the end
};

}  // namespace tessera
