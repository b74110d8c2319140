#include "worker/kernels/cpu_ops.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "worker/kernels/cpu_kernels.h"

namespace tessera::cpu_ops {
namespace {

constexpr int64_t kRowsPerTask = 16;

// Row r of batch item b; the row itself is dense.
const float* Row(const at::Tensor& t, int64_t b, int64_t r) {
  return t.const_data_ptr<float>() + b * t.stride(0) + r * t.stride(1);
}
float* MutableRow(const at::Tensor& t, int64_t b, int64_t r) {
  return t.mutable_data_ptr<float>() + b * t.stride(0) + r * t.stride(1);
}
// The vector of batch item b in a [B or 1, 1, D] tensor.
const float* Vector(const at::Tensor& t, int64_t b) {
  return t.const_data_ptr<float>() + (t.size(0) == 1 ? 0 : b * t.stride(0));
}

// Calls f(b, r) for every row of [batch, rows, ...].
template <typename F>
void ForEachRow(int64_t batch, int64_t rows, const F& f) {
  at::parallel_for(0, batch * rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i / rows, i % rows);
  });
}

}  // namespace

bool Runs(std::initializer_list<const at::Tensor*> tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor* t) {
    return t->is_cpu() && t->scalar_type() == at::kFloat;
  });
}

at::Tensor LayerNormModulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                             double eps) {
  at::Tensor y = at::empty(x.sizes(), x.options());
  ForEachRow(x.size(0), x.size(1), [&](int64_t b, int64_t r) {
    cpu::LayerNormModulateRow(Row(x, b, r), Vector(shift, b), Vector(scale, b),
                              static_cast<float>(eps), x.size(2), MutableRow(y, b, r));
  });
  return y;
}

void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out) {
  const int64_t heads = raw.q.size(2), head_dim = raw.q.size(3);
  const auto norm_rope = [&](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& y,
                             int64_t b, int64_t r) {
    cpu::NormRopeRow(Row(x, b, r), weight.const_data_ptr<float>(),
                     cos.const_data_ptr<float>() + r * head_dim / 2,
                     sin.const_data_ptr<float>() + r * head_dim / 2, static_cast<float>(eps), heads,
                     head_dim, MutableRow(y, b, r));
  };
  ForEachRow(raw.q.size(0), raw.q.size(1), [&](int64_t b, int64_t r) {
    norm_rope(raw.q, q_weight, out.q, b, r);
    norm_rope(raw.k, k_weight, out.k, b, r);
    std::copy_n(Row(raw.v, b, r), heads * head_dim, MutableRow(out.v, b, r));
  });
}

void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) {
  ForEachRow(x.size(0), x.size(1), [&](int64_t b, int64_t r) {
    cpu::GatedAddRow(MutableRow(x, b, r), Vector(gate, b), Row(y, b, r), x.size(2));
  });
}

}  // namespace tessera::cpu_ops
