#pragma once

namespace tessera {

// Which of several ways CUDA tensors take, where there are several. Each choice is for the whole
// process and may be made from any thread; the first value is the default, since another one
// becomes it only after its test has run on a GPU.

// Who does the element-wise work: ATen, as the twins in fused_ops.h, or our kernels.
enum class CudaKernels { kAten, kFused };

// No effect where the CUDA sources are not built.
void SetCudaKernels(CudaKernels choice);

// Whether this build has the kernels.
bool CudaKernelsBuilt();

// Who computes linear layers: ATen, or cuBLASLt called by us, with bias and GELU in the GEMM
// (cublaslt.h).
enum class Gemm { kAten, kCublasLt };

void SetGemm(Gemm choice);
Gemm ChosenGemm();

// How tensor cores sum products of FP8: moving the sum to a float32 every few products, or not.
// kFast is cheaper, and off by more the longer the sum.
enum class Fp8Accumulation { kExact, kFast };

void SetFp8Accumulation(Fp8Accumulation choice);
Fp8Accumulation ChosenFp8Accumulation();

// Which attention kernel runs: ATen's choice, or this one alone. What it cannot compute (masks,
// wide heads, float32) then throws, in the text encoders and the VAE too.
enum class Attention { kAuto, kCudnn, kFlash, kEfficient };

void SetAttention(Attention choice);

// Whether steps that exchange nothing are recorded and replayed, as CUDA graphs (device_graph.h).
enum class StepGraphs { kOff, kOn };

void SetStepGraphs(StepGraphs choice);
StepGraphs ChosenStepGraphs();

// What is ours of all that at once: kernels, cuBLASLt and step graphs. It has never run.
enum class CudaPath { kAten, kTuned };

void SetCudaPath(CudaPath choice);

}  // namespace tessera
