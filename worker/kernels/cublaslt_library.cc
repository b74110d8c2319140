#include "worker/kernels/cublaslt_library.h"

#include <dlfcn.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "worker/base/status_macros.h"

namespace tessera::cublaslt {
namespace {

absl::Status LoaderError() {
  const char* const error = dlerror();
  return absl::FailedPreconditionError(
      absl::StrCat("cannot load cuBLASLt: ", error == nullptr ? "unknown error" : error));
}

template <typename R, typename... Args>
absl::Status Find(void* library, const char* name, std::function<R(Args...)>& function) {
  auto* const found = reinterpret_cast<R (*)(Args...)>(dlsym(library, name));
  if (found == nullptr) return LoaderError();
  function = found;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Library> Open() {
  // libtorch_cuda needs it as long as it lives, which is for ever: the handle is never closed.
  void* const library = dlopen("libcublasLt.so.13", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return LoaderError();
  Library lt;
  const auto find = [library](const char* name, auto& function) {
    return Find(library, name, function);
  };
  TESSERA_RETURN_IF_ERROR(find("cublasLtCreate", lt.create));
  TESSERA_RETURN_IF_ERROR(find("cublasLtDestroy", lt.destroy));
  TESSERA_RETURN_IF_ERROR(find("cublasLtGetStatusString", lt.get_status_string));
  TESSERA_RETURN_IF_ERROR(find("cublasLtMatmulDescCreate", lt.matmul_desc_create));
  TESSERA_RETURN_IF_ERROR(find("cublasLtMatmulDescDestroy", lt.matmul_desc_destroy));
  TESSERA_RETURN_IF_ERROR(find("cublasLtMatmulDescSetAttribute", lt.matmul_desc_set_attribute));
  TESSERA_RETURN_IF_ERROR(find("cublasLtMatrixLayoutCreate", lt.matrix_layout_create));
  TESSERA_RETURN_IF_ERROR(find("cublasLtMatrixLayoutDestroy", lt.matrix_layout_destroy));
  TESSERA_RETURN_IF_ERROR(find("cublasLtMatmulPreferenceCreate", lt.matmul_preference_create));
  TESSERA_RETURN_IF_ERROR(find("cublasLtMatmulPreferenceDestroy", lt.matmul_preference_destroy));
  TESSERA_RETURN_IF_ERROR(
      find("cublasLtMatmulPreferenceSetAttribute", lt.matmul_preference_set_attribute));
  TESSERA_RETURN_IF_ERROR(find("cublasLtMatmulAlgoGetHeuristic", lt.matmul_algo_get_heuristic));
  TESSERA_RETURN_IF_ERROR(find("cublasLtMatmul", lt.matmul));
  return lt;
}

}  // namespace tessera::cublaslt
