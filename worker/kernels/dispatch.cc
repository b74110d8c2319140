#include "worker/kernels/dispatch.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace tessera {
namespace {

bool HasCudaKernels(at::ScalarType type) {
  return type == at::kFloat || type == at::kBFloat16 || type == at::kHalf;
}

}  // namespace

bool RowsAreDense(Tensors tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor* t) {
    const bool dense = t->size(-1) == 1 || t->stride(-1) == 1;
    return dense && (t->dim() < 4 || t->size(2) == 1 || t->stride(2) == t->size(3));
  });
}

bool AreContiguous(Tensors tensors) {
  return std::all_of(tensors.begin(), tensors.end(),
                     [](const at::Tensor* t) { return t->is_contiguous(); });
}

bool RunsOnCpu(Tensors tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor* t) {
    return t->is_cpu() && t->scalar_type() == at::kFloat;
  });
}

bool RunsOnCuda(Tensors tensors, KernelChoice kernels) {
  const at::Tensor& first = **tensors.begin();
  return kCudaKernelsBuilt && kernels.cuda_kernels == CudaKernels::kFused && first.is_cuda() &&
         HasCudaKernels(first.scalar_type()) &&
         std::all_of(tensors.begin(), tensors.end(), [&first](const at::Tensor* t) {
           return t->device() == first.device() && t->scalar_type() == first.scalar_type();
         });
}

}  // namespace tessera
