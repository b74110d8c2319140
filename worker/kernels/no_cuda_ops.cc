#include <ATen/ATen.h>

#include "worker/kernels/cuda_ops.h"
#include "worker/kernels/kernel_choice.h"

namespace tessera {

void SetCudaKernels(CudaKernels) {}
bool CudaKernelsBuilt() { return false; }

namespace cuda_ops {
namespace {
[[noreturn]] void NotBuilt() { TORCH_CHECK(false, "this build has no CUDA kernels"); }
}  // namespace

bool Runs(std::initializer_list<const at::Tensor*>) { return false; }

at::Tensor LayerNormModulate(const at::Tensor&, const at::Tensor&, const at::Tensor&, double) {
  NotBuilt();
}
void NormRopeQkv(const QkvRows&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                 const at::Tensor&, double, const QkvRows&) {
  NotBuilt();
}
void GatedAdd(at::Tensor&, const at::Tensor&, const at::Tensor&) { NotBuilt(); }
void GeluTanh(const at::Tensor&, at::Tensor&) { NotBuilt(); }
void EulerUpdate(at::Tensor&, const at::Tensor&, float) { NotBuilt(); }
at::Tensor PictureToRgb8(const at::Tensor&) { NotBuilt(); }
Fp8Rows QuantizeRows(const at::Tensor&) { NotBuilt(); }
Fp8Rows LayerNormModulateFp8(const at::Tensor&, const at::Tensor&, const at::Tensor&, double) {
  NotBuilt();
}
Fp8Rows QuantizeGeluRows(const at::Tensor&, const at::Tensor&) { NotBuilt(); }
void DequantizeInto(const Fp8Rows&, at::Tensor&) { NotBuilt(); }

}  // namespace cuda_ops
}  // namespace tessera
