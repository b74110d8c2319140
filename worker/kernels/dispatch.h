#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>

#include "worker/kernels/kernel_choice.h"

// How an op chooses between its kernel for the CPU, its kernel for CUDA and its ATen twin.
namespace tessera {

// A build without CUDA sources has no definitions of namespace cuda, so that calls of them stand in
// `if constexpr (kCudaKernelsBuilt)`. For the sources of this folder.
#ifdef TESSERA_WITH_CUDA
constexpr bool kCudaKernelsBuilt = true;
#else
constexpr bool kCudaKernelsBuilt = false;
#endif

using Tensors = std::initializer_list<const at::Tensor*>;

// Whether the elements of each row lie side by side: of the last dimension, or of the last two of
// [B, rows, heads, head_dim].
bool RowsAreDense(Tensors tensors);

bool AreContiguous(Tensors tensors);

// Whether our kernels for the CPU take these tensors: all are float32 on the CPU.
bool RunsOnCpu(Tensors tensors);

// Whether our CUDA kernels take these tensors: this build has the kernels, `kernels` chooses them,
// and all tensors are on one CUDA device and of one dtype of float32, bfloat16 and float16.
bool RunsOnCuda(Tensors tensors, KernelChoice kernels);

}  // namespace tessera
