#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <array>
#include <cstdint>
#include <optional>

namespace tessera {

// Copies tensors of mapped files to a device through a ring of pinned buffers: while some are on
// their way, ATen's threads fill the next, which faults the file's pages in, in parallel, and
// converts where another type is wanted. Copies are ordered on the calling
// thread's current stream, so that what is enqueued there next may use them. With the CPU as the
// device the buffers are not pinned: the same steps, for tests. Has never run on a GPU.
class WeightUploader {
 public:
  static constexpr int64_t kBufferBytes = int64_t{16} << 20;

  // buffer_bytes: at least an element.
  explicit WeightUploader(at::Device device, int64_t buffer_bytes = kBufferBytes);

  // `stored` is contiguous, on the CPU, and no longer needed on return. A new tensor of `type`.
  at::Tensor Upload(const at::Tensor& stored, at::ScalarType type);

  // Waits for all copies.
  void Finish();

 private:
  struct Buffer {
    at::Tensor bytes;
    std::optional<c10::Event> sent;  // the copy out of it
  };

  const at::Device device_;
  std::array<Buffer, 4> ring_;
  size_t next_ = 0;
};

}  // namespace tessera
