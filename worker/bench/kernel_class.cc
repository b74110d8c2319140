#include "worker/bench/kernel_class.h"

#include <algorithm>
#include <initializer_list>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace tessera {
namespace {

bool HasAnyOf(const std::string& name, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(),
                     [&name](const char* word) { return absl::StrContains(name, word); });
}

}  // namespace

KernelClass ClassOfKernel(const std::string& name) {
  const std::string lower = absl::AsciiStrToLower(name);
  // Attention kernels name their GEMM library, and GEMM kernels the copies inside them: the order
  // counts.
  if (HasAnyOf(lower, {"flash", "fmha", "sdpa", "attention"})) return KernelClass::kAttention;
  if (HasAnyOf(lower, {"gemm", "gemv", "nvjet", "cutlass", "splitkreduce", "cublas", "linear",
                       "aten::addmm", "aten::mm", "aten::bmm", "scaled_mm"})) {
    return KernelClass::kGemm;
  }
  if (HasAnyOf(lower, {"memcpy", "memset", "copy", "aten::cat", "aten::fill", "fillfunctor"})) {
    return KernelClass::kCopy;
  }
  return KernelClass::kElementWise;
}

}  // namespace tessera
