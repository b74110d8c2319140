#include "worker/parallel/kv_cache.h"

#include <ATen/ATen.h>

namespace tessera {

void KvCache::Reserve(const Shape& shape, const at::TensorOptions& options) {
  const bool reusable = !layers_.empty() && shape == shape_ &&
                        layers_[0].dtype() == options.dtype() &&
                        layers_[0].device() == options.device();
  if (reusable) return;
  layers_.clear();  // before the new buffers, so that both never exist at once
  shape_ = shape;
  for (int64_t i = 0; i < shape.layers; ++i) {
    layers_.push_back(
        at::empty({2, shape.batch, shape.rows, shape.heads, shape.head_dim}, options));
  }
}

void KvCache::Free() { layers_.clear(); }

int64_t KvCache::bytes() const {
  int64_t total = 0;
  for (const at::Tensor& layer : layers_) total += static_cast<int64_t>(layer.nbytes());
  return total;
}

}  // namespace tessera
