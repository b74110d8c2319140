#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace tessera {

// Keys and values of the attention layers of one pass, rows in canonical order: all text tokens,
// then all image tokens, whatever the rank. K is stored after norm and rotary embedding.
class KvCache {
 public:
  struct Shape {
    int64_t layers = 0;  // 1 when no layer's rows are read after its own attention: all layers then
                         // share one buffer
    int64_t batch = 0;
    int64_t rows = 0;
    int64_t heads = 0;
    int64_t head_dim = 0;
    bool operator==(const Shape&) const = default;
  };

  // Makes room for `shape`. Buffers that are large enough stay where they are; otherwise all are
  // new and true comes back. What they hold is unspecified.
  bool Reserve(const Shape& shape, const at::TensorOptions& options);
  void Free();

  // [2, batch, rows, heads, head_dim]: K, then V. The rows of one batch item are contiguous for the
  // exchange.
  const at::Tensor& Layer(int64_t layer) const { return layers_[layer % shape_.layers]; }
  int64_t bytes() const;

 private:
  bool HasRoomFor(const Shape& shape, const at::TensorOptions& options) const;

  Shape shape_;
  std::vector<at::Tensor> buffers_;  // one-dimensional
  std::vector<at::Tensor> layers_;   // their beginnings, as shape_ says
};

}  // namespace tessera
