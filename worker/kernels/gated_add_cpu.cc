#include "worker/kernels/cpu_rows.h"
#include "worker/kernels/gated_add.h"

namespace tessera::cpu {

// x += gate * y over one row.
TESSERA_MULTIVERSION
void GatedAddRow(float* x, const float* gate, const float* y, int64_t width) {
  for (int64_t i = 0; i < width; ++i) x[i] += gate[i] * y[i];
}

void GatedAdd(at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) {
  ForEachRow(x.size(0), x.size(1), [&](int64_t b, int64_t r) {
    GatedAddRow(MutableRow(x, b, r), Vector(gate, b), Row(y, b, r), x.size(2));
  });
}

}  // namespace tessera::cpu
