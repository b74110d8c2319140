#pragma once

#include <ATen/core/Tensor.h>

namespace tessera {

// All the transformer knows of attention. For each attention layer, in order: the block writes K
// (after norm and rotary embedding) and V of the rows it computes into the places it asks for, then
// hands over Q and gets the attention output of those rows. Whose keys and values Q attends to is
// the implementation's business. May throw StatusException.
class JointAttention {
 public:
  struct KeyValue {
    at::Tensor k, v;  // [batch, rows, heads, head_dim], views to write into
  };

  virtual ~JointAttention() = default;
  virtual KeyValue TextRows(int64_t layer) = 0;
  virtual KeyValue ImageRows(int64_t layer) = 0;

  // q [batch, text rows + image rows, heads, head_dim] -> [batch, the same rows, heads * head_dim].
  virtual at::Tensor Attend(int64_t layer, const at::Tensor& q) = 0;
};

}  // namespace tessera
