#include "worker/parallel/kv_cache.h"

#include <ATen/ATen.h>

namespace tessera {
namespace {

std::vector<int64_t> SizesOf(const KvCache::Shape& shape) {
  return {2, shape.batch, shape.rows, shape.heads, shape.head_dim};
}

// Layers as computed, and layers in FP8.
size_t OpenLayers(const KvCache::Shape& shape) {
  return shape.storage == KvStorage::kFp8 ? 1 : shape.layers;
}
size_t StoredLayers(const KvCache::Shape& shape) {
  return shape.storage == KvStorage::kFp8 ? shape.layers : 0;
}

at::Tensor Beginning(const at::Tensor& buffer, at::IntArrayRef sizes) {
  return buffer.narrow(0, 0, c10::multiply_integers(sizes)).view(sizes);
}

}  // namespace

bool KvCache::HasRoomFor(const Shape& shape, const at::TensorOptions& options) const {
  const size_t open = OpenLayers(shape), stored = StoredLayers(shape);
  return buffers_.size() >= open && fp8_buffers_.size() >= stored &&
         buffers_[0].numel() >= c10::multiply_integers(SizesOf(shape)) &&
         buffers_[0].dtype() == options.dtype() && buffers_[0].device() == options.device();
}

void KvCache::Reserve(const Shape& shape, const at::TensorOptions& options) {
  const std::vector<int64_t> sizes = SizesOf(shape);
  std::vector<int64_t> scale_sizes = sizes;
  scale_sizes.back() = 1;
  if (!HasRoomFor(shape, options)) {
    Free();  // before the new ones, so that both never exist at once
    const int64_t elements = c10::multiply_integers(sizes);
    const int64_t scales = c10::multiply_integers(scale_sizes);
    for (size_t i = 0; i < OpenLayers(shape); ++i) {
      buffers_.push_back(at::empty({elements}, options));
    }
    for (size_t i = 0; i < StoredLayers(shape); ++i) {
      fp8_buffers_.push_back({at::empty({elements}, options.dtype(at::kFloat8_e4m3fn)),
                              at::empty({scales}, options.dtype(at::kFloat))});
    }
  }
  layers_.clear();
  stored_.clear();
  for (size_t i = 0; i < OpenLayers(shape); ++i) {
    layers_.push_back(Beginning(buffers_[i], sizes));
  }
  for (size_t i = 0; i < StoredLayers(shape); ++i) {
    stored_.push_back(
        {Beginning(fp8_buffers_[i].values, sizes), Beginning(fp8_buffers_[i].scales, scale_sizes)});
  }
}

void KvCache::Restore(int64_t layer) {
  if (stored_.empty()) return;
  at::Tensor rows = Layer(layer);
  DequantizeInto(stored_[layer], rows, kernels_);
}

void KvCache::Store(int64_t layer, const RowRange& rows) {
  if (stored_.empty() || rows.size() == 0) return;
  const auto part = [&](const at::Tensor& all) { return all.narrow(2, rows.begin, rows.size()); };
  const Fp8Rows fresh = QuantizeRows(part(Layer(layer)), kernels_);
  part(stored_[layer].values).copy_(fresh.values);
  part(stored_[layer].scales).copy_(fresh.scales);
}

void KvCache::Free() {
  layers_.clear();
  stored_.clear();
  buffers_.clear();
  fp8_buffers_.clear();
}

int64_t KvCache::bytes() const {
  int64_t total = 0;
  for (const at::Tensor& buffer : buffers_) total += static_cast<int64_t>(buffer.nbytes());
  for (const Fp8Rows& buffer : fp8_buffers_) {
    total += static_cast<int64_t>(buffer.values.nbytes() + buffer.scales.nbytes());
  }
  return total;
}

}  // namespace tessera
