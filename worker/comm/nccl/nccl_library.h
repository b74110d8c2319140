#pragma once

#include <climits>
#include <cstddef>
#include <functional>

#include "absl/status/statusor.h"

namespace tessera {

// NCCL's C interface as far as it is used here. Declared once more, and compared with nccl.h by a
// test, so that neither a build nor a process needs NCCL that does not ask for it.

enum class NcclResult : int {
  kSuccess = 0,
  kUnhandledCudaError = 1,
  kSystemError = 2,
  kInternalError = 3,
  kInvalidArgument = 4,
  kInvalidUsage = 5,
  kRemoteError = 6,
  kInProgress = 7,
};

inline constexpr int kNcclUint8 = 1;  // an ncclDataType_t

struct NcclUniqueId {
  char bytes[128];
};

// ncclConfig_t as NCCL 2.14 had it; later ones take what it lacks as unset.
struct NcclConfig {
  size_t size = sizeof(NcclConfig);
  unsigned magic = 0xcafebeef;
  unsigned version = 21400;
  int blocking = 0;
  int unset = INT_MIN;
};

using NcclHandle = void*;  // ncclComm_t

// The functions, by nccl.h's names without their prefix. `stream` is a cudaStream_t.
struct NcclLibrary {
  std::function<NcclResult(NcclUniqueId* id)> get_unique_id;
  std::function<NcclResult(NcclHandle* comm, int size, NcclUniqueId id, int rank,
                           NcclConfig* config)>
      comm_init_rank_config;
  std::function<NcclResult(NcclHandle comm, NcclResult* error)> comm_get_async_error;
  std::function<NcclResult(NcclHandle comm)> comm_abort;
  std::function<NcclResult()> group_start;
  std::function<NcclResult()> group_end;
  std::function<NcclResult(const void* from, size_t count, int type, int peer, NcclHandle comm,
                           void* stream)>
      send;
  std::function<NcclResult(void* to, size_t count, int type, int peer, NcclHandle comm,
                           void* stream)>
      recv;
  std::function<const char*(NcclResult result)> get_error_string;
  std::function<const char*(NcclHandle comm)> get_last_error;
};

// The libnccl.so.2 that libtorch_cuda has brought, or the loader's own; for the rest of the
// process. FAILED_PRECONDITION says what is missing.
absl::StatusOr<NcclLibrary> OpenNccl();

}  // namespace tessera
