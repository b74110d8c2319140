#pragma once

#include <array>
#include <string>

namespace tessera {

// What a step's time goes into.
enum class KernelClass { kGemm, kAttention, kElementWise, kCopy };
constexpr int kKernelClasses = 4;
constexpr std::array<const char*, kKernelClasses> kKernelClassNames = {"GEMM", "attention",
                                                                       "element-wise", "copies"};

// By the name of a CUDA kernel or copy, or of an ATen operator on the CPU. Element-wise is what is
// none of the others: norms, activations, sums, our own kernels.
KernelClass ClassOfKernel(const std::string& name);

}  // namespace tessera
