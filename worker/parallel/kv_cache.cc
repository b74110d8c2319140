#include "worker/parallel/kv_cache.h"

#include <ATen/ATen.h>

namespace tessera {
namespace {

int64_t ElementsOf(const KvCache::Shape& shape) {
  return 2 * shape.batch * shape.rows * shape.heads * shape.head_dim;
}

}  // namespace

bool KvCache::HasRoomFor(const Shape& shape, const at::TensorOptions& options) const {
  return static_cast<int64_t>(buffers_.size()) >= shape.layers &&
         buffers_[0].numel() >= ElementsOf(shape) && buffers_[0].dtype() == options.dtype() &&
         buffers_[0].device() == options.device();
}

bool KvCache::Reserve(const Shape& shape, const at::TensorOptions& options) {
  const bool moves = !HasRoomFor(shape, options);
  layers_.clear();
  if (moves) {
    buffers_.clear();  // before the new ones, so that both never exist at once
    for (int64_t i = 0; i < shape.layers; ++i) {
      buffers_.push_back(at::empty({ElementsOf(shape)}, options));
    }
  }
  shape_ = shape;
  for (int64_t i = 0; i < shape.layers; ++i) {
    layers_.push_back(buffers_[i]
                          .narrow(0, 0, ElementsOf(shape))
                          .view({2, shape.batch, shape.rows, shape.heads, shape.head_dim}));
  }
  return moves;
}

void KvCache::Free() {
  layers_.clear();
  buffers_.clear();
}

int64_t KvCache::bytes() const {
  int64_t total = 0;
  for (const at::Tensor& buffer : buffers_) total += static_cast<int64_t>(buffer.nbytes());
  return total;
}

}  // namespace tessera
