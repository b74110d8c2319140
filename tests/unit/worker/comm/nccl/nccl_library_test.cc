#include "worker/comm/nccl/nccl_library.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <type_traits>

#if __has_include(<nccl.h>)
#include <nccl.h>
#endif

namespace tessera {
namespace {

#if __has_include(<nccl.h>)

template <typename Ours, typename Theirs>
constexpr bool IsPassedAlike() {
  if constexpr (std::is_pointer_v<Ours> || std::is_void_v<Ours>) {
    return std::is_pointer_v<Theirs> == std::is_pointer_v<Ours>;
  } else {
    return sizeof(Ours) == sizeof(Theirs) && std::is_class_v<Ours> == std::is_class_v<Theirs>;
  }
}

template <typename R, typename... Ours, typename Result, typename... Theirs>
constexpr bool IsCalledAlike(const std::function<R(Ours...)> NcclLibrary::*,
                             Result (*)(Theirs...)) {
  if constexpr (sizeof...(Ours) != sizeof...(Theirs)) {
    return false;
  } else {
    return IsPassedAlike<R, Result>() && (IsPassedAlike<Ours, Theirs>() && ...);
  }
}

template <typename Function>
constexpr bool IsCalledAlike(Function NcclLibrary::*ours, auto* theirs) {
  return IsCalledAlike(static_cast<const Function NcclLibrary::*>(ours), theirs);
}

TEST(NcclLibraryTest, IsDeclaredAsInNcclsHeader) {
  static_assert(IsCalledAlike(&NcclLibrary::get_unique_id, &ncclGetUniqueId));
  static_assert(IsCalledAlike(&NcclLibrary::comm_init_rank_config, &ncclCommInitRankConfig));
  static_assert(IsCalledAlike(&NcclLibrary::comm_get_async_error, &ncclCommGetAsyncError));
  static_assert(IsCalledAlike(&NcclLibrary::comm_abort, &ncclCommAbort));
  static_assert(IsCalledAlike(&NcclLibrary::group_start, &ncclGroupStart));
  static_assert(IsCalledAlike(&NcclLibrary::group_end, &ncclGroupEnd));
  static_assert(IsCalledAlike(&NcclLibrary::send, &ncclSend));
  static_assert(IsCalledAlike(&NcclLibrary::recv, &ncclRecv));
  static_assert(IsCalledAlike(&NcclLibrary::get_error_string, &ncclGetErrorString));
  static_assert(IsCalledAlike(&NcclLibrary::get_last_error, &ncclGetLastError));

  EXPECT_EQ(static_cast<int>(NcclResult::kSystemError), ncclSystemError);
  EXPECT_EQ(static_cast<int>(NcclResult::kInvalidUsage), ncclInvalidUsage);
  EXPECT_EQ(static_cast<int>(NcclResult::kRemoteError), ncclRemoteError);
  EXPECT_EQ(static_cast<int>(NcclResult::kInProgress), ncclInProgress);
  EXPECT_EQ(kNcclUint8, ncclUint8);

  const ncclConfig_t theirs = NCCL_CONFIG_INITIALIZER;
  const NcclConfig ours;
  EXPECT_EQ(ours.magic, theirs.magic);
  EXPECT_EQ(ours.unset, theirs.cgaClusterSize);
  EXPECT_EQ(offsetof(NcclConfig, magic), offsetof(ncclConfig_t, magic));
  EXPECT_EQ(offsetof(NcclConfig, version), offsetof(ncclConfig_t, version));
  EXPECT_EQ(offsetof(NcclConfig, blocking), offsetof(ncclConfig_t, blocking));
  EXPECT_EQ(offsetof(NcclConfig, unset), offsetof(ncclConfig_t, cgaClusterSize));
}

#else

TEST(NcclLibraryTest, IsDeclaredAsInNcclsHeader) { GTEST_SKIP() << "no nccl.h on this machine"; }

#endif

// Needs no GPU.
TEST(NcclLibraryTest, OpensTheLibraryThatIsInstalled) {
  const absl::StatusOr<NcclLibrary> nccl = OpenNccl();
  if (!nccl.ok()) {
    EXPECT_EQ(nccl.status().code(), absl::StatusCode::kFailedPrecondition);
    GTEST_SKIP() << nccl.status();
  }
  EXPECT_STREQ(nccl->get_error_string(NcclResult::kSuccess), "no error");
}

}  // namespace
}  // namespace tessera
