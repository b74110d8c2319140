#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "worker/pipeline/engine.h"

namespace tessera {
namespace {

TEST(CollectivesTest, NcclIsRefusedOnTheCpuBeforeWeightsAreLoaded) {
  const absl::Status status =
      LoadEngine({.model_dir = "/nowhere", .device = "cpu"}, Collectives::kNccl).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("collectives nccl"));
}

TEST(CudaPathTest, TunedIsRefusedOnTheCpuBeforeWeightsAreLoaded) {
  const absl::Status status =
      LoadEngine({.model_dir = "/nowhere", .device = "cpu", .kernels = KernelsOf(CudaPath::kTuned)},
                 Collectives::kGloo)
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("CUDA path tuned"));
}

}  // namespace
}  // namespace tessera
