#include "worker/kernels/cuda/cuda_library.h"

#include <ATen/Context.h>
#include <dlfcn.h>

#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

// The last error of dlopen or dlsym.
absl::Status LoaderError(const std::string& what) {
  const char* const error = dlerror();
  return absl::FailedPreconditionError(
      absl::StrCat(what, ": ", error == nullptr ? "unknown error" : error));
}

// The few calls of the CUDA driver needed here; it comes with the GPU and not with the toolkit.
class CudaDriver {
 public:
  static absl::StatusOr<CudaDriver> Open() {
    CudaDriver driver;
    // Stays when this handle goes: the CUDA runtime opens it too, and it has threads of its own.
    driver.library_.reset(dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE));
    if (driver.library_ == nullptr) return LoaderError("cannot load the CUDA driver");
    TESSERA_RETURN_IF_ERROR(driver.Find("cuInit", driver.init_));
    TESSERA_RETURN_IF_ERROR(driver.Find("cuDeviceGet", driver.device_get_));
    TESSERA_RETURN_IF_ERROR(driver.Find("cuDeviceGetName", driver.device_get_name_));
    TESSERA_RETURN_IF_ERROR(driver.Find("cuDeviceGetPCIBusId", driver.device_get_pci_bus_id_));
    TESSERA_RETURN_IF_ERROR(driver.Find("cuGetErrorString", driver.get_error_string_));
    TESSERA_RETURN_IF_ERROR(driver.Check("cuInit", driver.init_(0)));
    return driver;
  }

  absl::StatusOr<std::string> DeviceName(int index) const {
    int device = 0;
    char name[256] = {};
    TESSERA_RETURN_IF_ERROR(Check("cuDeviceGet", device_get_(&device, index)));
    TESSERA_RETURN_IF_ERROR(
        Check("cuDeviceGetName", device_get_name_(name, sizeof(name) - 1, device)));
    return std::string(name);
  }

  absl::StatusOr<std::string> PciAddress(int index) const {
    int device = 0;
    char address[32] = {};
    TESSERA_RETURN_IF_ERROR(Check("cuDeviceGet", device_get_(&device, index)));
    TESSERA_RETURN_IF_ERROR(
        Check("cuDeviceGetPCIBusId", device_get_pci_bus_id_(address, sizeof(address) - 1, device)));
    return std::string(address);
  }

 private:
  struct Close {
    void operator()(void* library) const { dlclose(library); }
  };

  template <typename F>
  absl::Status Find(const char* name, F*& function) {
    function = reinterpret_cast<F*>(dlsym(library_.get(), name));
    return function == nullptr ? LoaderError(absl::StrCat("CUDA driver without ", name))
                               : absl::OkStatus();
  }

  absl::Status Check(const char* what, int result) const {
    if (result == 0) return absl::OkStatus();
    const char* text = nullptr;
    get_error_string_(result, &text);
    return absl::FailedPreconditionError(
        absl::StrCat(what, ": ", text == nullptr ? absl::StrCat("error ", result) : text));
  }

  std::unique_ptr<void, Close> library_;
  // As cuda.h declares them; CUresult and CUdevice are ints.
  int (*init_)(unsigned flags) = nullptr;
  int (*device_get_)(int* device, int ordinal) = nullptr;
  int (*device_get_name_)(char* name, int size, int device) = nullptr;
  int (*device_get_pci_bus_id_)(char* address, int size, int device) = nullptr;
  int (*get_error_string_)(int error, const char** text) = nullptr;
};

}  // namespace

absl::Status LoadCuda(int index) {
  // Its static initialisers register with ATen, so the handle is never closed.
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const absl::Status error = LoaderError("cannot load LibTorch's CUDA half");
    return absl::FailedPreconditionError(
        absl::StrCat(std::string(error.message()),
                     "; what it needs comes with: pip install torch==2.11.0, without --no-deps"));
  }
  if (!at::detail::getCUDAHooks().hasCUDART()) {
    return absl::InternalError("ATen was asked for CUDA before its CUDA half was loaded");
  }
  TESSERA_RETURN_IF_ERROR(CudaDeviceName(index).status());
  if (static_cast<size_t>(index) >= at::getNumGPUs()) {
    return absl::FailedPreconditionError(
        absl::StrCat("LibTorch sees ", at::getNumGPUs(), " GPUs that it can use"));
  }
  at::Context& context = at::globalContext();
  context.setAllowTF32CuBLAS(false);
  context.setAllowTF32CuDNN(false);
  context.setDeterministicCuDNN(true);
  return absl::OkStatus();
}

absl::StatusOr<std::string> CudaDeviceName(int index) {
  TESSERA_ASSIGN_OR_RETURN(const CudaDriver driver, CudaDriver::Open());
  return driver.DeviceName(index);
}

absl::StatusOr<std::string> CudaDeviceLocation(int index) {
  TESSERA_ASSIGN_OR_RETURN(const CudaDriver driver, CudaDriver::Open());
  TESSERA_ASSIGN_OR_RETURN(const std::string address, driver.PciAddress(index));
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  return absl::StrCat(address, " of boot ", boot);
}

}  // namespace tessera
