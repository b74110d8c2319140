#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/unit/worker/comm/gloo/gloo_threads.h"
#include "tests/unit/worker/comm/nccl/fake_nccl.h"
#include "worker/comm/nccl/nccl_communicator.h"

namespace tessera {

// Of a rank whose GPU is the CPU, known to others by a name of its own.
inline NcclOptions FakeGpuOptions(const GlooOptions& control) {
  return {.control = control, .device = at::kCPU, .gpu = "gpu " + std::to_string(control.rank)};
}

// As JoinThreads; what the ranks exchange goes by `nccl`.
inline std::vector<Joined> TryJoinNcclThreads(const FakeNccl& nccl, int size, double timeout_s,
                                              int64_t epoch = 1) {
  return JoinThreads(size, timeout_s, epoch, [&](const GlooOptions& options, GroupStore* hosted) {
    return Joined(
        NcclCommunicator::Join(FakeGpuOptions(options), hosted, nccl.Library(options.rank)));
  });
}

inline std::vector<std::unique_ptr<Communicator>> JoinNcclThreads(const FakeNccl& nccl, int size,
                                                                  double timeout_s,
                                                                  int64_t epoch = 1) {
  return MembersOf(TryJoinNcclThreads(nccl, size, timeout_s, epoch));
}

}  // namespace tessera
