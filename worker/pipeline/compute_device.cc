#include "worker/pipeline/compute_device.h"

#include <ATen/Version.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <sched.h>

#include <limits>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/model/dtype_names.h"
#include "worker/kernels/cuda/cuda_library.h"

namespace tessera {
namespace {

constexpr int kMaxDeviceIndex = std::numeric_limits<at::DeviceIndex>::max();

int CoresOfThisProcess() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

absl::StatusOr<at::Device> ParseDevice(const std::string& name) {
  if (name == "cpu") return at::Device(at::kCPU);
  absl::string_view rest = name;
  int index = 0;
  const bool cuda =
      absl::ConsumePrefix(&rest, "cuda") &&
      (rest.empty() || (absl::ConsumePrefix(&rest, ":") && absl::SimpleAtoi(rest, &index) &&
                        index >= 0 && index <= kMaxDeviceIndex));
  if (!cuda) {
    return absl::InvalidArgumentError(
        absl::StrCat("device: expected cpu, cuda or cuda:K, found \"", name, "\""));
  }
  const absl::Status loaded = LoadCuda(index);
  if (!loaded.ok()) {
    return absl::Status(loaded.code(),
                        absl::StrCat("device ", name, ": ", std::string(loaded.message())));
  }
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
}

}  // namespace

absl::StatusOr<ComputeDevice> ResolveComputeDevice(const std::string& device,
                                                   const std::string& dtype, int threads) {
  ComputeDevice result;
  const absl::StatusOr<at::Device> parsed = ParseDevice(device);
  if (!parsed.ok()) return parsed.status();
  result.device = *parsed;

  const std::map<std::string, at::ScalarType> types = {
      {"float32", at::kFloat}, {"bfloat16", at::kBFloat16}, {"float16", at::kHalf}};
  result.dtype_name = !dtype.empty() ? dtype : result.device.is_cpu() ? "float32" : "bfloat16";
  absl::string_view name = result.dtype_name;
  if (absl::ConsumeSuffix(&name, kFp8KvSuffix)) result.kv_storage = KvStorage::kFp8;
  if (absl::ConsumeSuffix(&name, kFp8Suffix)) result.fp8 = DefaultFp8Layers();
  const auto type = types.find(std::string(name));
  if (type == types.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "dtype: expected float32, bfloat16 or float16, or one of them with ", kFp8Suffix, ", ",
        kFp8KvSuffix, " or both in this order, found \"", dtype, "\""));
  }
  result.dtype = type->second;

  if (threads < 0)
    return absl::InvalidArgumentError(absl::StrCat("threads: expected 0 or more, found ", threads));
  result.threads = threads == 0 ? CoresOfThisProcess() : threads;
  return result;
}

void Synchronize(at::Device device) {
  if (!device.is_cpu()) {
    c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
  }
}

std::string DeviceKind(const std::string& device) {
  if (device == "cpu") return absl::StrCat("cpu ", at::get_cpu_capability());
  const absl::StatusOr<at::Device> parsed = ParseDevice(device);
  const absl::StatusOr<std::string> name =
      parsed.ok() ? CudaDeviceName(parsed->index()) : parsed.status();
  return name.ok() ? *name : "cuda";
}

}  // namespace tessera
