#include "worker/kernels/linear/cublaslt.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

#include "worker/base/status_exception.h"

namespace tessera {
namespace {

// One for each device of the process, made when first asked for, with that device current.
class Devices {
 public:
  CublasLt& Of(int index) {
    const MutexLock lock(mutex_);
    std::unique_ptr<CublasLt>& device = devices_[index];
    if (device == nullptr) {
      absl::StatusOr<cublaslt::Library> library = cublaslt::Open();
      ThrowIfError(library.status());
      device = std::make_unique<CublasLt>(*std::move(library));
    }
    return *device;
  }

 private:
  Mutex mutex_;
  std::map<int, std::unique_ptr<CublasLt>> devices_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

CublasLt::CublasLt(cublaslt::Library library) : library_(std::move(library)) {
  cublaslt::Handle handle = nullptr;
  const cublaslt::Status status = library_.create(&handle);
  TORCH_CHECK(status == cublaslt::Status::kSuccess,
              "cublasLtCreate: ", library_.get_status_string(status));
  handle_ = {handle, library_.destroy};
}

bool CublasLt::Linear(const LinearOperands& operands, void* stream) {
  const std::optional<cublaslt::Shape> shape = cublaslt::ShapeOf(operands);
  if (!shape) return false;
  if (shape->rows == 0) return true;
  const cublaslt::Product product(library_, operands, *shape);
  const std::optional<cublaslt::Choice> choice = ChoiceFor(product, *shape);
  if (choice) product.Enqueue(handle_.get(), *choice, stream);
  return choice.has_value();
}

std::optional<cublaslt::Choice> CublasLt::ChoiceFor(const cublaslt::Product& product,
                                                    const cublaslt::Shape& shape) {
  const MutexLock lock(mutex_);
  if (const auto known = choices_.find(shape); known != choices_.end()) return known->second;
  const std::optional<cublaslt::Choice> choice = product.Choose(handle_.get());
  if (choices_.size() == kMostChoices) choices_.clear();
  choices_.emplace(shape, choice);
  return choice;
}

bool GoesToCublasLt(const at::Tensor& x, KernelChoice kernels) {
  return x.is_cuda() && kernels.gemm == Gemm::kCublasLt;
}

bool LinearByCublasLt(const LinearOperands& operands) {
  // Never destroyed: when static objects are, CUDA may be gone.
  static auto* const devices = new Devices;
  const at::Device device = operands.x.device();
  const c10::DeviceGuard guard(device);
  const c10::Stream stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  return devices->Of(device.index()).Linear(operands, stream.native_handle());
}

}  // namespace tessera
