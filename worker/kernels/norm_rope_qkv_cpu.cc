#include <algorithm>
#include <cmath>

#include "worker/kernels/cpu_rows.h"
#include "worker/kernels/norm_rope_qkv.h"

namespace tessera::cpu {

// One token: y[h] = rope(rms_norm(x[h]) * weight) for each head. cos, sin: head_dim / 2 values.
TESSERA_MULTIVERSION
void NormRopeRow(const float* x, const float* weight, const float* cos, const float* sin, float eps,
                 int64_t heads, int64_t head_dim, float* y) {
  for (int64_t h = 0; h < heads; ++h, x += head_dim, y += head_dim) {
    float lanes[kLanes] = {};
    const int64_t whole = head_dim - head_dim % kLanes;
    for (int64_t i = 0; i < whole; i += kLanes) {
      for (int64_t j = 0; j < kLanes; ++j) lanes[j] += x[i + j] * x[i + j];
    }
    for (int64_t i = whole; i < head_dim; ++i) lanes[i - whole] += x[i] * x[i];
    const float inverse = 1.0f / std::sqrt(SumLanes(lanes) / static_cast<float>(head_dim) + eps);
    for (int64_t j = 0; j < head_dim / 2; ++j) {
      const float a = x[2 * j] * inverse * weight[2 * j];
      const float b = x[2 * j + 1] * inverse * weight[2 * j + 1];
      y[2 * j] = a * cos[j] - b * sin[j];
      y[2 * j + 1] = b * cos[j] + a * sin[j];
    }
  }
}

void NormRopeQkv(const QkvRows& raw, const at::Tensor& q_weight, const at::Tensor& k_weight,
                 const at::Tensor& cos, const at::Tensor& sin, double eps, const QkvRows& out) {
  const int64_t heads = raw.q.size(2), head_dim = raw.q.size(3);
  const auto norm_rope = [&](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& y,
                             int64_t b, int64_t r) {
    NormRopeRow(Row(x, b, r), weight.const_data_ptr<float>(),
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

}  // namespace tessera::cpu
