#include "worker/comm/nccl/nccl_library.h"

#include "common/base/status_macros.h"
#include "worker/base/shared_library.h"

namespace tessera {

absl::StatusOr<NcclLibrary> OpenNccl() {
  TESSERA_ASSIGN_OR_RETURN(const SharedLibrary library,
                           SharedLibrary::Open("NCCL", "libnccl.so.2"));
  NcclLibrary nccl;
  TESSERA_RETURN_IF_ERROR(library.Find("ncclGetUniqueId", nccl.get_unique_id));
  TESSERA_RETURN_IF_ERROR(library.Find("ncclCommInitRankConfig", nccl.comm_init_rank_config));
  TESSERA_RETURN_IF_ERROR(library.Find("ncclCommGetAsyncError", nccl.comm_get_async_error));
  TESSERA_RETURN_IF_ERROR(library.Find("ncclCommAbort", nccl.comm_abort));
  TESSERA_RETURN_IF_ERROR(library.Find("ncclGroupStart", nccl.group_start));
  TESSERA_RETURN_IF_ERROR(library.Find("ncclGroupEnd", nccl.group_end));
  TESSERA_RETURN_IF_ERROR(library.Find("ncclSend", nccl.send));
  TESSERA_RETURN_IF_ERROR(library.Find("ncclRecv", nccl.recv));
  TESSERA_RETURN_IF_ERROR(library.Find("ncclGetErrorString", nccl.get_error_string));
  TESSERA_RETURN_IF_ERROR(library.Find("ncclGetLastError", nccl.get_last_error));
  return nccl;
}

}  // namespace tessera
