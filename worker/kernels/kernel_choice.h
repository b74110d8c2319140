#pragma once

namespace tessera {

// Every op of this folder has a twin in namespace `reference`, made of ATen calls, which defines
// the result and its rounding in bfloat16 and float16. An op runs its kernel where there is one for
// the tensors' device and dtype, on CUDA only if its parameter `kernels` says so, and its twin
// elsewhere. Thread-safe. All tensors of a call live on one device and share one dtype unless said
// otherwise.
//
// A KernelChoice is made when an engine is built. The first value of each enum is the default, and
// another becomes the default only after its test has run on a GPU.

// Who does the element-wise work: ATen, as the twins of the ops, or our kernels. Our kernels have
// no effect where the CUDA sources are not built.
enum class CudaKernels { kAten, kFused };

// Who computes linear layers: ATen, or cuBLASLt called by us, with bias and GELU in the GEMM
// (linear/cublaslt.h).
enum class Gemm { kAten, kCublasLt };

// How tensor cores sum products of FP8: moving the sum to a float32 every few products, or not.
// kFast is cheaper, and its error grows with the length of the sum.
enum class Fp8Accumulation { kExact, kFast };

// Whether steps that exchange nothing are recorded and replayed, as CUDA graphs
// (cuda/device_graph.h).
enum class StepGraphs { kOff, kOn };

struct KernelChoice {
  CudaKernels cuda_kernels = CudaKernels::kAten;
  Gemm gemm = Gemm::kAten;
  Fp8Accumulation fp8_accumulation = Fp8Accumulation::kExact;
  StepGraphs step_graphs = StepGraphs::kOff;

  bool operator==(const KernelChoice&) const = default;
};

// ATen for everything, or everything of ours: kernels, cuBLASLt and step graphs, which have never
// run together.
enum class CudaPath { kAten, kTuned };

KernelChoice KernelsOf(CudaPath path);

// Whether this build has our CUDA kernels and CUDA graphs.
bool CudaKernelsBuilt();

// Which attention kernel runs: ATen's choice, or this one alone, which then throws for what it
// cannot compute (masks, wide heads, float32), in the text encoders and the VAE too. ATen keeps
// this choice for the whole process; any thread may set it.
enum class Attention { kAuto, kCudnn, kFlash, kEfficient };

void SetAttention(Attention choice);

}  // namespace tessera
