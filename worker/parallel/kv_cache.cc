#include "worker/parallel/kv_cache.h"

#include <ATen/ATen.h>

namespace tessera {
namespace {

at::Tensor Beginning(const at::Tensor& buffer, at::IntArrayRef sizes) {
  return buffer.narrow(0, 0, c10::multiply_integers(sizes)).view(sizes);
}

}  // namespace

bool KvCache::Reserve(const Shape& shape, const at::TensorOptions& options, KvStorage storage) {
  const std::vector<int64_t> sizes = {2, shape.batch, shape.rows, shape.heads, shape.head_dim};
  const std::vector<int64_t> scale_sizes = {2, shape.batch, shape.rows, shape.heads, 1};
  const int64_t elements = c10::multiply_integers(sizes);
  const size_t stored = storage == KvStorage::kFp8 ? shape.layers : 0;
  const size_t layers = storage == KvStorage::kFp8 ? 1 : shape.layers;
  const bool stays = buffers_.size() >= layers && fp8_buffers_.size() >= stored &&
                     buffers_[0].numel() >= elements && buffers_[0].dtype() == options.dtype() &&
                     buffers_[0].device() == options.device();
  if (!stays) {
    Free();  // before the new ones, so that both never exist at once
    for (size_t i = 0; i < layers; ++i) buffers_.push_back(at::empty({elements}, options));
    for (size_t i = 0; i < stored; ++i) {
      fp8_buffers_.push_back(
          {at::empty({elements}, options.dtype(at::kFloat8_e4m3fn)),
           at::empty({c10::multiply_integers(scale_sizes)}, options.dtype(at::kFloat))});
    }
  }
  layers_.clear();
  stored_.clear();
  for (size_t i = 0; i < layers; ++i) layers_.push_back(Beginning(buffers_[i], sizes));
  for (size_t i = 0; i < stored; ++i) {
    stored_.push_back(
        {Beginning(fp8_buffers_[i].values, sizes), Beginning(fp8_buffers_[i].scales, scale_sizes)});
  }
  return !stays;
}

void KvCache::Restore(int64_t layer) const {
  if (stored_.empty()) return;
  at::Tensor rows = Layer(layer);
  DequantizeInto(stored_[layer], rows);
}

void KvCache::Store(int64_t layer, const RowRange& rows) const {
  if (stored_.empty() || rows.size() == 0) return;
  const auto part = [&](const at::Tensor& all) { return all.narrow(2, rows.begin, rows.size()); };
  const Fp8Rows fresh = QuantizeRows(part(Layer(layer)));
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
