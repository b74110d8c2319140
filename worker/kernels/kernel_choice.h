#pragma once

namespace tessera {

// Who does the element-wise work on CUDA tensors: ATen, as the twins in fused_ops.h, or our
// kernels.
enum class CudaKernels { kAten, kFused };

// For the whole process; kAten until it is called, since a kernel becomes the default only after
// its test has run on a GPU. No effect where the CUDA sources are not built. From any thread.
void SetCudaKernels(CudaKernels choice);

// Whether this build has the kernels.
bool CudaKernelsBuilt();

}  // namespace tessera
