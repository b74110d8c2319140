#include "worker/kernels/cuda_ops.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <atomic>

#include "worker/kernels/cuda_views.h"
#include "worker/kernels/kernel_choice.h"

namespace tessera {
namespace {

std::atomic<CudaKernels> choice = CudaKernels::kAten;  // the one switch; see the header

bool IsKnown(at::ScalarType type) {
  return type == at::kFloat || type == at::kBFloat16 || type == at::kHalf;
}

// [rows, D] as [1, rows, D].
at::Tensor WithBatch(const at::Tensor& t) { return t.dim() == 2 ? t.unsqueeze(0) : t; }

// Room for the quantised rows [..., width] of x [..., any width].
Fp8Rows EmptyFp8Rows(const at::Tensor& x, int64_t width) {
  const auto ending_in = [&x](int64_t size) {
    std::vector<int64_t> sizes = x.sizes().vec();
    sizes.back() = size;
    return sizes;
  };
  return {at::empty(ending_in(width), x.options().dtype(at::kFloat8_e4m3fn)),
          at::empty(ending_in(1), x.options().dtype(at::kFloat))};
}

// launch(stream) with the device of `t` current.
template <typename F>
void Enqueue(const at::Tensor& t, const F& launch) {
  const c10::DeviceGuard guard(t.device());
  const c10::Stream stream = c10::impl::VirtualGuardImpl(at::kCUDA).getStream(t.device());
  const cudaError_t error = launch(static_cast<cudaStream_t>(stream.native_handle()));
  TORCH_CHECK(error == cudaSuccess, "CUDA kernel: ", cudaGetErrorString(error));
}

}  // namespace

void SetCudaKernels(CudaKernels value) { choice = value; }
bool CudaKernelsBuilt() { return true; }

namespace cuda_ops {

bool Runs(std::initializer_list<const at::Tensor*> tensors) {
  const at::Tensor& first = **tensors.begin();
  return first.is_cuda() && choice == CudaKernels::kFused && IsKnown(first.scalar_type()) &&
         std::all_of(tensors.begin(), tensors.end(), [&first](const at::Tensor* t) {
           return t->device() == first.device() && t->scalar_type() == first.scalar_type();
         });
}

at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps) {
  at::Tensor y = at::empty(x.sizes(), x.options());
  Enqueue(x, [&](cudaStream_t stream) {
    return cuda::LayerNormModulate(ElementOf(x), {x.size(0), x.size(1), x.size(2)}, RowsOf(x),
                                   VectorsOf(shift), VectorsOf(scale), static_cast<float>(eps),
                                   MutableRowsOf(y), stream);
  });
  return y;
}

void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out) {
  const at::Tensor& q = raw.q;
  Enqueue(q, [&](cudaStream_t stream) {
    return cuda::NormRopeQkv(
        ElementOf(q), {q.size(0), q.size(1), q.size(2), q.size(3)},
        {RowsOf(raw.q), RowsOf(raw.k), RowsOf(raw.v)}, q_weight.const_data_ptr(),
        k_weight.const_data_ptr(), {cos.const_data_ptr<float>(), sin.const_data_ptr<float>()},
        static_cast<float>(eps), {MutableRowsOf(out.q), MutableRowsOf(out.k), MutableRowsOf(out.v)},
        stream);
  });
}

void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) {
  Enqueue(x, [&](cudaStream_t stream) {
    return cuda::GatedAdd(ElementOf(x), {x.size(0), x.size(1), x.size(2)}, MutableRowsOf(x),
                          VectorsOf(gate), RowsOf(y), stream);
  });
}

void GeluTanh(const at::Tensor& x, at::Tensor& y) {
  const at::Tensor in = WithBatch(x), out = WithBatch(y);
  Enqueue(x, [&](cudaStream_t stream) {
    return cuda::GeluTanh(ElementOf(x), {in.size(0), in.size(1), in.size(2)}, RowsOf(in),
                          MutableRowsOf(out), stream);
  });
}

void EulerUpdate(at::Tensor& latents, const at::Tensor& velocity, float change) {
  Enqueue(latents, [&](cudaStream_t stream) {
    return cuda::EulerUpdate(ElementOf(latents), latents.numel(), latents.mutable_data_ptr(),
                             velocity.const_data_ptr(), change, stream);
  });
}

at::Tensor PictureToRgb8(const at::Tensor& picture) {
  const int64_t batch = picture.size(0), height = picture.size(2), width = picture.size(3);
  at::Tensor rgb = at::empty({batch, height, width, 3}, picture.options().dtype(at::kByte));
  Enqueue(picture, [&](cudaStream_t stream) {
    return cuda::PictureToRgb8(ElementOf(picture),
                               {picture.const_data_ptr(), batch, height, width, picture.stride(0),
                                picture.stride(1), picture.stride(2), picture.stride(3)},
                               rgb.mutable_data_ptr<uint8_t>(), stream);
  });
  return rgb;
}

Fp8Rows QuantizeRows(const at::Tensor& x) {
  const int64_t width = x.size(-1);
  const at::Tensor rows = x.dim() == 3 ? x : x.reshape({1, -1, width});
  Fp8Rows y = EmptyFp8Rows(x, width);
  Enqueue(x, [&](cudaStream_t stream) {
    return cuda::QuantizeRows(ElementOf(x), rows.size(0), rows.size(1),
                              {.head = RowsOf(rows), .head_width = width}, MatrixOf(y), stream);
  });
  return y;
}

Fp8Rows LayerNormModulateFp8(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps) {
  Fp8Rows y = EmptyFp8Rows(x, x.size(2));
  Enqueue(x, [&](cudaStream_t stream) {
    return cuda::LayerNormModulateFp8(ElementOf(x), {x.size(0), x.size(1), x.size(2)}, RowsOf(x),
                                      VectorsOf(shift), VectorsOf(scale), static_cast<float>(eps),
                                      MatrixOf(y), stream);
  });
  return y;
}

Fp8Rows QuantizeGeluRows(const at::Tensor& head, const at::Tensor& tail) {
  cuda::RowParts parts = {.tail = RowsOf(tail), .tail_width = tail.size(2)};
  if (head.defined()) {
    parts.head = RowsOf(head);
    parts.head_width = head.size(2);
  }
  Fp8Rows y = EmptyFp8Rows(tail, parts.head_width + parts.tail_width);
  Enqueue(tail, [&](cudaStream_t stream) {
    return cuda::QuantizeRows(ElementOf(tail), tail.size(0), tail.size(1), parts, MatrixOf(y),
                              stream);
  });
  return y;
}

void DequantizeInto(const Fp8Rows& rows, at::Tensor& out) {
  const int64_t width = rows.values.size(-1);
  Enqueue(out, [&](cudaStream_t stream) {
    return cuda::DequantizeRows(ElementOf(out), rows.scales.numel(), width, MatrixOf(rows),
                                out.mutable_data_ptr(), stream);
  });
}

}  // namespace cuda_ops
}  // namespace tessera
