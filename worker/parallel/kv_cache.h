#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "common/plan/token_rows.h"
#include "worker/kernels/fp8_rows.h"
#include "worker/kernels/kernel_choice.h"

namespace tessera {

// How rows wait for the next step: in the type in which they were computed, or as E4M3 with a scale
// for each head of a row.
enum class KvStorage { kAsComputed, kFp8 };

// Keys and values of the attention layers of one pass, rows in canonical order: all text tokens,
// then all image tokens, whatever the rank. K is stored after norm and rotary embedding.
//
// In kFp8 the layers share one buffer of rows as computed. Rows that this step computed or gathered
// are therefore read unrounded; only rows of earlier steps have been through E4M3.
class KvCache {
 public:
  struct Shape {
    int64_t layers = 0;  // 1 when no layer's rows are read after its own attention: all layers then
                         // share one buffer
    int64_t batch = 0;
    int64_t rows = 0;
    int64_t heads = 0;
    int64_t head_dim = 0;
    KvStorage storage = KvStorage::kAsComputed;
  };

  // `kernels` convert between FP8 and the type in which rows are computed.
  explicit KvCache(KernelChoice kernels = {}) : kernels_(kernels) {}

  bool HasRoomFor(const Shape& shape, const at::TensorOptions& options) const;
  // Makes room for `shape`. Buffers that have it stay where they are; otherwise all are new. What
  // they hold is unspecified.
  void Reserve(const Shape& shape, const at::TensorOptions& options);
  void Free();

  // The rows of a layer, to read and to write: [2, batch, rows, heads, head_dim], K, then V. The
  // rows of one batch item are contiguous for the exchange. Where layers share one buffer, every
  // layer's rows are that buffer.
  const at::Tensor& Layer(int64_t layer) { return layers_[layer % layers_.size()]; }
  // In kFp8, before and after the layer's turn in a step (nothing otherwise): Restore makes Layer
  // what was stored; Store stores these rows of it.
  void Restore(int64_t layer);
  void Store(int64_t layer, const RowRange& rows);

  int64_t bytes() const;

 private:
  KernelChoice kernels_;
  std::vector<at::Tensor> buffers_;  // one-dimensional
  std::vector<Fp8Rows> fp8_buffers_;
  std::vector<at::Tensor> layers_;  // their beginnings
  std::vector<Fp8Rows> stored_;
};

}  // namespace tessera
