#include "worker/kernels/linear/cublaslt_library.h"

#include "common/base/status_macros.h"
#include "worker/base/shared_library.h"

namespace tessera::cublaslt {

absl::StatusOr<Library> Open() {
  TESSERA_ASSIGN_OR_RETURN(const SharedLibrary library,
                           SharedLibrary::Open("cuBLASLt", "libcublasLt.so.13"));
  Library lt;
  const auto find = [&library](const char* name, auto& function) {
    return library.Find(name, function);
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
