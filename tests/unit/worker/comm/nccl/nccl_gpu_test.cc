// NCCL itself, between GPUs of this machine.

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/gpu.h"
#include "tests/support/rank_threads.h"
#include "tests/unit/worker/comm/gloo/gloo_threads.h"
#include "worker/comm/nccl/nccl_communicator.h"
#include "worker/kernels/cuda/cuda_library.h"

namespace tessera {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

constexpr double kLimitS = 60;

at::Device Gpu(int index) { return {at::kCUDA, static_cast<at::DeviceIndex>(index)}; }

// Rank r on GPU gpus[r].
std::vector<Joined> JoinGpus(const std::vector<int>& gpus, int64_t epoch) {
  return JoinThreads(
      static_cast<int>(gpus.size()), kLimitS, epoch,
      [&](const GlooOptions& control, GroupStore* hosted) -> Joined {
        const int gpu = gpus[control.rank];
        return NcclCommunicator::Join(
            {.control = control, .device = Gpu(gpu), .gpu = CudaDeviceLocation(gpu).value()},
            hosted, OpenNccl().value());
      });
}

// Unequal and empty pieces, several times over.
absl::Status Gather(Communicator& communicator) {
  const c10::DeviceGuard guard(Gpu(communicator.rank()));
  const auto options = at::TensorOptions(at::kBFloat16).device(Gpu(communicator.rank()));
  std::vector<std::vector<at::Tensor>> pieces(communicator.size());
  for (int rank = 0; rank < communicator.size(); ++rank) {
    pieces[rank] = {at::zeros({100'000 + rank, 3}, options), at::zeros({rank}, options)};
  }
  for (int round = 0; round < 20; ++round) {
    for (at::Tensor& mine : pieces[communicator.rank()]) mine.fill_(communicator.rank() + round);
    const absl::Status status = communicator.AllGather(pieces);
    if (!status.ok()) return status;
    for (int rank = 0; rank < communicator.size(); ++rank) {
      for (const at::Tensor& piece : pieces[rank]) {
        EXPECT_TRUE(piece.eq(rank + round).all().item<bool>()) << "piece of rank " << rank;
      }
    }
  }
  return absl::OkStatus();
}

TEST(NcclGpuTest, GathersAndStartsAnewAfterAnAbort) {
  TESSERA_SKIP_WITHOUT_GPU();
  const int count = std::min(static_cast<int>(at::getNumGPUs()), 3);
  if (count < 2) GTEST_SKIP() << "one GPU";
  std::vector<int> gpus;
  for (int index = 0; index < count; ++index) gpus.push_back(index);
  for (int64_t epoch = 1; epoch <= 2; ++epoch) {
    const auto group = MembersOf(JoinGpus(gpus, epoch));
    ASSERT_FALSE(group.empty());
    EXPECT_THAT(RunRanks(group, Gather), Each(absl::OkStatus()));
    // Rank 0 never comes to the gather in which the others wait.
    const auto ends = RunRanks(group, [](Communicator& communicator) {
      if (communicator.rank() != 0) return Gather(communicator);
      communicator.Abort(absl::InternalError("made to fail"));
      return communicator.Vote(0).status();
    });
    EXPECT_THAT(ends, Each(absl::AbortedError("rank 0 failed: INTERNAL: made to fail")));
  }
}

TEST(NcclGpuTest, TwoRanksOnOneGpuAreRefused) {
  TESSERA_SKIP_WITHOUT_GPU();
  for (const Joined& each : JoinGpus({0, 0}, /*epoch=*/1)) {
    EXPECT_THAT(std::string(each.status().message()), HasSubstr("ranks 0 and 1 share a GPU"));
  }
}

}  // namespace
}  // namespace tessera
