#pragma once

#include <map>

#include "common/base/mutex.h"
#include "worker/kernels/linear/cublaslt_product.h"

namespace tessera {

// cuBLASLt on one device. The algorithm for a shape is chosen once and remembered. Thread-safe.
class CublasLt {
 public:
  static constexpr size_t kMostChoices = 512;  // remembered; all are forgotten when there are more

  // For the device that is current, as it has to be in each call. Throws c10::Error.
  explicit CublasLt(cublaslt::Library library);

  // Enqueues the layer on `stream`, a cudaStream_t, ATen's current one. Fit for a CUDA graph once
  // this shape has run. False, with nothing enqueued, where cuBLASLt has no form or no algorithm
  // for the operands. Throws c10::Error naming the shape if it fails otherwise.
  bool Linear(const LinearOperands& operands, void* stream);

 private:
  std::optional<cublaslt::Choice> ChoiceFor(const cublaslt::Product& product,
                                            const cublaslt::Shape& shape);

  const cublaslt::Library library_;
  std::unique_ptr<void, std::function<cublaslt::Status(cublaslt::Handle)>> handle_;
  Mutex mutex_;
  std::map<cublaslt::Shape, std::optional<cublaslt::Choice>> choices_ ABSL_GUARDED_BY(mutex_);
};

// Whether linear layers that read `x` go to cuBLASLt: a CUDA tensor, and `kernels` says so. That
// path has never run on a GPU, and is not the default.
bool GoesToCublasLt(const at::Tensor& x, KernelChoice kernels);

// CublasLt::Linear on the device of `operands` and its current stream. Throws StatusException if
// the library cannot be loaded.
bool LinearByCublasLt(const LinearOperands& operands);

}  // namespace tessera
