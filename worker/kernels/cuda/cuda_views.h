#pragma once

#include <ATen/core/Tensor.h>

#include "worker/kernels/cuda/cuda_kernels.h"
#include "worker/kernels/fp8_rows.h"

// Tensors of float32, bfloat16 or float16 as the kernels see them.
namespace tessera::cuda {

inline Element ElementOf(const at::Tensor& t) {
  if (t.scalar_type() == at::kFloat) return Element::kFloat32;
  return t.scalar_type() == at::kHalf ? Element::kFloat16 : Element::kBFloat16;
}

// The stride of a dimension that is never stepped along says nothing.
inline int64_t Stride(const at::Tensor& t, int64_t dim) {
  return t.size(dim) == 1 ? 0 : t.stride(dim);
}

// [B, rows, width].
inline Extent ExtentOf(const at::Tensor& t) { return {t.size(0), t.size(1), t.size(2)}; }

// [B, rows, ...], the rows dense.
inline ConstRows RowsOf(const at::Tensor& t) {
  return {t.const_data_ptr(), Stride(t, 0), Stride(t, 1)};
}
inline Rows MutableRowsOf(const at::Tensor& t) {
  return {t.mutable_data_ptr(), Stride(t, 0), Stride(t, 1)};
}
// [B or 1, 1, D].
inline Vectors VectorsOf(const at::Tensor& t) { return {t.const_data_ptr(), Stride(t, 0)}; }

inline Fp8Matrix MatrixOf(const Fp8Rows& rows) {
  return {rows.values.mutable_data_ptr(), rows.scales.mutable_data_ptr<float>()};
}

}  // namespace tessera::cuda
