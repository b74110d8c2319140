#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tessera {

// The engine links the CPU half of LibTorch only; one binary serves both devices. This loads the
// other half, libtorch_cuda.so beside it, for the rest of the process, and sets ATen so that
// float32 is computed as float32 (no TF32) and the same convolution always gives the same bits.
// Idempotent. FAILED_PRECONDITION: the library or one that it needs cannot be loaded, or GPU
// `index` is not there; says what is missing. INTERNAL when something (such as at::manual_seed) has
// asked ATen for CUDA before this call: ATen keeps its first answer.
absl::Status LoadCuda(int index);

// The name that the driver gives GPU `index`, such as "NVIDIA H100 80GB HBM3".
// FAILED_PRECONDITION with the driver's own words.
absl::StatusOr<std::string> CudaDeviceName(int index);

// What tells GPU `index` from all others, of this host and of any other: its PCI address and the
// host's boot. Otherwise as CudaDeviceName.
absl::StatusOr<std::string> CudaDeviceLocation(int index);

}  // namespace tessera
