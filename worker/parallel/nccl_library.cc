#include "worker/parallel/nccl_library.h"

#include <dlfcn.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "worker/base/status_macros.h"

namespace tessera {
namespace {

absl::Status LoaderError() {
  const char* const error = dlerror();
  return absl::FailedPreconditionError(
      absl::StrCat("cannot load NCCL: ", error == nullptr ? "unknown error" : error));
}

template <typename R, typename... Args>
absl::Status Find(void* library, const char* name, std::function<R(Args...)>& function) {
  auto* const found = reinterpret_cast<R (*)(Args...)>(dlsym(library, name));
  if (found == nullptr) return LoaderError();
  function = found;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NcclLibrary> OpenNccl() {
  // It has threads of its own, so the handle is never closed.
  void* const library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return LoaderError();
  NcclLibrary nccl;
  TESSERA_RETURN_IF_ERROR(Find(library, "ncclGetUniqueId", nccl.get_unique_id));
  TESSERA_RETURN_IF_ERROR(Find(library, "ncclCommInitRankConfig", nccl.comm_init_rank_config));
  TESSERA_RETURN_IF_ERROR(Find(library, "ncclCommGetAsyncError", nccl.comm_get_async_error));
  TESSERA_RETURN_IF_ERROR(Find(library, "ncclCommAbort", nccl.comm_abort));
  TESSERA_RETURN_IF_ERROR(Find(library, "ncclGroupStart", nccl.group_start));
  TESSERA_RETURN_IF_ERROR(Find(library, "ncclGroupEnd", nccl.group_end));
  TESSERA_RETURN_IF_ERROR(Find(library, "ncclSend", nccl.send));
  TESSERA_RETURN_IF_ERROR(Find(library, "ncclRecv", nccl.recv));
  TESSERA_RETURN_IF_ERROR(Find(library, "ncclGetErrorString", nccl.get_error_string));
  TESSERA_RETURN_IF_ERROR(Find(library, "ncclGetLastError", nccl.get_last_error));
  return nccl;
}

}  // namespace tessera
