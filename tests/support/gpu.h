#pragma once

#include <gtest/gtest.h>

#include "worker/kernels/cuda/cuda_library.h"

// Skips the test that runs, by name and with the reason, on a machine without a GPU. To be called
// first, in a program of GPU tests alone: LoadCuda comes before anything else that asks for CUDA.
#define TESSERA_SKIP_WITHOUT_GPU()                                                          \
  do {                                                                                      \
    const absl::Status loaded = tessera::LoadCuda(0);                                       \
    if (absl::IsFailedPrecondition(loaded)) GTEST_SKIP() << "no GPU: " << loaded.message(); \
    ASSERT_TRUE(loaded.ok()) << loaded;                                                     \
  } while (false)
