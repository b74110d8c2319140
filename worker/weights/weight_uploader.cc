#include "worker/weights/weight_uploader.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

namespace tessera {

WeightUploader::WeightUploader(at::Device device, int64_t buffer_bytes) : device_(device) {
  const at::TensorOptions options = at::TensorOptions(at::kByte).pinned_memory(!device.is_cpu());
  for (Buffer& buffer : ring_) buffer.bytes = at::empty({buffer_bytes}, options);
}

at::Tensor WeightUploader::Upload(const at::Tensor& stored, at::ScalarType type) {
  at::Tensor result = at::empty(stored.sizes(), at::TensorOptions(type).device(device_));
  const at::Tensor from = stored.view(-1), to = result.view(-1);
  const auto element = static_cast<int64_t>(c10::elementSize(type));
  const int64_t room = ring_[0].bytes.numel() / element;
  for (int64_t begin = 0; begin < from.numel(); begin += room) {
    Buffer& buffer = ring_[next_++ % ring_.size()];
    if (buffer.sent.has_value()) buffer.sent->synchronize();
    const int64_t count = std::min(room, from.numel() - begin);
    const at::Tensor filled = buffer.bytes.narrow(0, 0, count * element).view(type);
    filled.copy_(from.narrow(0, begin, count));
    to.narrow(0, begin, count).copy_(filled, /*non_blocking=*/true);
    if (device_.is_cpu()) continue;  // copied already
    buffer.sent.emplace(device_.type());
    buffer.sent->record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  }
  return result;
}

void WeightUploader::Finish() {
  for (Buffer& buffer : ring_) {
    if (buffer.sent.has_value()) buffer.sent->synchronize();
  }
}

}  // namespace tessera
