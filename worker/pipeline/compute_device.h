#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

#include "absl/status/statusor.h"
#include "worker/flux/linear.h"
#include "worker/parallel/kv_cache.h"

namespace tessera {

// Where and in what type a rank computes.
struct ComputeDevice {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  std::string dtype_name = "float32";
  LayerSet fp8;  // the transformer's layers that are FP8
  KvStorage kv_storage = KvStorage::kAsComputed;
  int threads = 1;  // of the CPU
};

// Resolves the strings of PipelineOptions. device: "cpu", "cuda", "cuda:K"; dtype: "float32",
// "bfloat16", "float16", or empty for float32 on the CPU and bfloat16 on CUDA; one of the three
// with "+fp8" behind it has the transformer's large linear layers in FP8, with "+fp8kv" the keys
// and values that wait for a later step, with "+fp8+fp8kv" both; threads 0 means all cores this
// process may use. INVALID_ARGUMENT naming the option; FAILED_PRECONDITION when the device is not
// there.
absl::StatusOr<ComputeDevice> ResolveComputeDevice(const std::string& device,
                                                   const std::string& dtype, int threads);

// Waits until the device has done what it was given; on the CPU nothing is ever left to do. For
// clocks.
void Synchronize(at::Device device);

// What a rank computes on, as far as the bits of its results depend on it: "cpu" with its vector
// instructions, or the name of the GPU. For a device string that ResolveComputeDevice has accepted.
std::string DeviceKind(const std::string& device);

}  // namespace tessera
