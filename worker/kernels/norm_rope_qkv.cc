#include "worker/kernels/norm_rope_qkv.h"

#include <ATen/ATen.h>

#include "worker/kernels/cuda/enqueue.h"
#include "worker/kernels/dispatch.h"

namespace tessera {

void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out,
                 KernelChoice kernels) {
  const Tensors all = {&raw.q, &raw.k, &raw.v, &out.q, &out.k, &out.v, &q_weight, &k_weight};
  const bool dense = RowsAreDense(all) && AreContiguous({&cos, &sin});
  if (dense && RunsOnCpu(all)) {
    return cpu::NormRopeQkv(raw, q_weight, k_weight, cos, sin, eps, out);
  }
  if constexpr (kCudaKernelsBuilt) {
    if (dense && RunsOnCuda(all, kernels)) {
      const at::Tensor& q = raw.q;
      return cuda::Enqueue(q, [&](cuda::Stream stream) {
        return cuda::NormRopeQkv(
            cuda::ElementOf(q), {q.size(0), q.size(1), q.size(2), q.size(3)},
            {cuda::RowsOf(raw.q), cuda::RowsOf(raw.k), cuda::RowsOf(raw.v)},
            q_weight.const_data_ptr(), k_weight.const_data_ptr(),
            {cos.const_data_ptr<float>(), sin.const_data_ptr<float>()}, static_cast<float>(eps),
            {cuda::MutableRowsOf(out.q), cuda::MutableRowsOf(out.k), cuda::MutableRowsOf(out.v)},
            stream);
      });
    }
  }
  reference::NormRopeQkv(raw, q_weight, k_weight, cos, sin, eps, out);
}

namespace reference {
namespace {

// x [B, rows, heads, head_dim] -> the same in x's dtype; the rotation itself in float32.
at::Tensor Rope(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const at::Tensor pairs =
      x.to(at::kFloat).unflatten(-1, {-1, 2});  // [B, rows, heads, head_dim / 2, 2]
  const at::Tensor a = pairs.select(-1, 0);
  const at::Tensor b = pairs.select(-1, 1);
  const at::Tensor c = cos.unsqueeze(1);  // [rows, 1, head_dim / 2]
  const at::Tensor s = sin.unsqueeze(1);
  return at::stack({a * c - b * s, b * c + a * s}, -1).flatten(-2).to(x.scalar_type());
}

}  // namespace

void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out) {
  const int64_t head_dim = raw.q.size(-1);
  out.q.copy_(Rope(at::rms_norm(raw.q, {head_dim}, q_weight, eps), cos, sin));
  out.k.copy_(Rope(at::rms_norm(raw.k, {head_dim}, k_weight, eps), cos, sin));
  out.v.copy_(raw.v);
}

}  // namespace reference
}  // namespace tessera
