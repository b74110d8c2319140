#include "worker/kernels/fp8_rows.h"

#include <ATen/ATen.h>

#include <limits>
#include <vector>

#include "worker/kernels/cuda/enqueue.h"
#include "worker/kernels/dispatch.h"
#include "worker/kernels/gelu_tanh.h"

namespace tessera {

Fp8Rows EmptyFp8Rows(const at::Tensor& x, int64_t width) {
  const auto ending_in = [&x](int64_t size) {
    std::vector<int64_t> sizes = x.sizes().vec();
    sizes.back() = size;
    return sizes;
  };
  return {at::empty(ending_in(width), x.options().dtype(at::kFloat8_e4m3fn)),
          at::empty(ending_in(1), x.options().dtype(at::kFloat))};
}

Fp8Rows QuantizeRows(const at::Tensor& x, KernelChoice kernels) {
  if constexpr (kCudaKernelsBuilt) {
    const int64_t width = x.size(-1);
    if ((width == 1 || x.stride(-1) == 1) && RunsOnCuda({&x}, kernels)) {
      const at::Tensor rows = x.dim() == 3 ? x : x.reshape({1, -1, width});
      Fp8Rows y = EmptyFp8Rows(x, width);
      cuda::Enqueue(x, [&](cuda::Stream stream) {
        return cuda::QuantizeRows(cuda::ElementOf(x), rows.size(0), rows.size(1),
                                  {.head = cuda::RowsOf(rows), .head_width = width},
                                  cuda::MatrixOf(y), stream);
      });
      return y;
    }
  }
  return reference::QuantizeRows(x);
}

Fp8Rows QuantizeGeluRows(const at::Tensor& head, const at::Tensor& tail, KernelChoice kernels) {
  const Tensors both = {head.defined() ? &head : &tail, &tail};
  if constexpr (kCudaKernelsBuilt) {
    if (RowsAreDense(both) && RunsOnCuda(both, kernels)) {
      cuda::RowParts parts = {.tail = cuda::RowsOf(tail), .tail_width = tail.size(2)};
      if (head.defined()) {
        parts.head = cuda::RowsOf(head);
        parts.head_width = head.size(2);
      }
      Fp8Rows y = EmptyFp8Rows(tail, parts.head_width + parts.tail_width);
      cuda::Enqueue(tail, [&](cuda::Stream stream) {
        return cuda::QuantizeRows(cuda::ElementOf(tail), tail.size(0), tail.size(1), parts,
                                  cuda::MatrixOf(y), stream);
      });
      return y;
    }
  }
  return reference::QuantizeGeluRows(head, tail);
}

at::Tensor Dequantized(const Fp8Rows& rows) { return rows.values.to(at::kFloat).mul_(rows.scales); }

void DequantizeInto(const Fp8Rows& rows, at::Tensor& out, KernelChoice kernels) {
  if constexpr (kCudaKernelsBuilt) {
    if (AreContiguous({&out}) && RunsOnCuda({&out}, kernels)) {
      return cuda::Enqueue(out, [&](cuda::Stream stream) {
        return cuda::DequantizeRows(cuda::ElementOf(out), rows.scales.numel(), rows.values.size(-1),
                                    cuda::MatrixOf(rows), out.mutable_data_ptr(), stream);
      });
    }
  }
  reference::DequantizeInto(rows, out);
}

namespace reference {

Fp8Rows QuantizeRows(const at::Tensor& x) {
  constexpr double kLargest = 448;  // of E4M3
  const at::Tensor rows =
      x.to(at::kFloat, /*non_blocking=*/false, /*copy=*/false, at::MemoryFormat::Contiguous);
  // A tensor, since ATen multiplies by the inverse of a number on CUDA.
  const at::Tensor largest = at::full({1}, kLargest, rows.options());
  const at::Tensor scales = rows.abs()
                                .amax(-1, /*keepdim=*/true)
                                .div_(largest)
                                .clamp_min_(std::numeric_limits<float>::min());
  // A conversion does not saturate, and x / scale may round to a little more than the largest.
  return {rows.div(scales).clamp_(-kLargest, kLargest).to(at::kFloat8_e4m3fn), scales};
}

Fp8Rows QuantizeGeluRows(const at::Tensor& head, const at::Tensor& tail) {
  const int64_t before = head.defined() ? head.size(-1) : 0;
  std::vector<int64_t> sizes = tail.sizes().vec();
  sizes.back() += before;
  const at::Tensor joined = at::empty(sizes, tail.options());
  if (head.defined()) joined.narrow(-1, 0, before).copy_(head);
  at::Tensor after = joined.narrow(-1, before, tail.size(-1));
  GeluTanh(tail, after);
  return QuantizeRows(joined);
}

void DequantizeInto(const Fp8Rows& rows, at::Tensor& out) { out.copy_(Dequantized(rows)); }

}  // namespace reference
}  // namespace tessera
