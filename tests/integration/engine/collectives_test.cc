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

}  // namespace
}  // namespace tessera
