#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace tessera::cuda {

// Enqueues a kernel of one-dimensional blocks. All that a C++ compiler does not read is here: tests
// on a CPU put tests/support/emulated_cuda in its place.
template <typename... Parameters, typename... Arguments>
cudaError_t LaunchKernel(void (*kernel)(Parameters...), int64_t blocks, int threads,
                         cudaStream_t stream, const Arguments&... arguments) {
  kernel<<<static_cast<unsigned>(blocks), threads, 0, stream>>>(arguments...);
  return cudaGetLastError();
}

}  // namespace tessera::cuda
