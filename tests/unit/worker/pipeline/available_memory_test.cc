#include "worker/pipeline/available_memory.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace tessera {
namespace {

constexpr int64_t kMiB = 1 << 20;

// A machine with 1000 MiB available.
class AvailableMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_.Write("proc/meminfo", "MemTotal: 9999999 kB\nMemAvailable: 1024000 kB\nBuffers: 1 kB\n");
  }
  void JoinGroups(const std::string& lines) const { dir_.Write("proc/self/cgroup", lines); }
  int64_t AvailableMiB() const {
    return AvailableHostBytes({dir_ / "proc", dir_ / "cgroup"}) / kMiB;
  }

  const testing::TempDir dir_;
};

TEST_F(AvailableMemoryTest, IsWhatTheKernelSaysWithoutGroups) { EXPECT_EQ(AvailableMiB(), 1000); }

TEST_F(AvailableMemoryTest, AnUnlimitedGroupChangesNothing) {
  JoinGroups("0::/a\n");
  dir_.Write("cgroup/a/memory.max", "max\n");
  dir_.Write("cgroup/a/memory.current", "5000\n");
  EXPECT_EQ(AvailableMiB(), 1000);
}

TEST_F(AvailableMemoryTest, AGroupsLimitCountsWithoutItsFilePages) {
  JoinGroups("0::/a/b\n");
  dir_.Write("cgroup/a/b/memory.max", "629145600\n");      // 600 MiB
  dir_.Write("cgroup/a/b/memory.current", "524288000\n");  // 500 MiB
  dir_.Write("cgroup/a/b/memory.stat",
             "anon 104857600\nfile 419430400\ninactive_file 209715200\nactive_file 209715200\n");
  EXPECT_EQ(AvailableMiB(), 500);
}

TEST_F(AvailableMemoryTest, TheSmallestOfAGroupAndItsParentsCounts) {
  JoinGroups("0::/a/b\n");
  dir_.Write("cgroup/a/memory.max", "104857600\n");
  dir_.Write("cgroup/a/memory.current", "0\n");
  dir_.Write("cgroup/a/b/memory.max", "629145600\n");
  dir_.Write("cgroup/a/b/memory.current", "0\n");
  EXPECT_EQ(AvailableMiB(), 100);
}

TEST_F(AvailableMemoryTest, InAContainerTheMountedRootIsTheGroup) {
  JoinGroups("0::/../../docker/0123\n");
  dir_.Write("cgroup/memory.max", "209715200\n");
  dir_.Write("cgroup/memory.current", "0\n");
  EXPECT_EQ(AvailableMiB(), 200);
}

TEST_F(AvailableMemoryTest, ReadsTheFirstVersionToo) {
  JoinGroups("9:cpu:/other\n4:memory:/a\n0::/\n");
  dir_.Write("cgroup/memory/a/memory.limit_in_bytes", "314572800\n");
  dir_.Write("cgroup/memory/a/memory.usage_in_bytes", "209715200\n");
  dir_.Write("cgroup/memory/a/memory.stat",
             "inactive_file 1\ntotal_inactive_file 104857600\ntotal_active_file 0\n");
  EXPECT_EQ(AvailableMiB(), 200);
}

TEST_F(AvailableMemoryTest, AGroupBeyondItsLimitHasNothing) {
  JoinGroups("0::/a\n");
  dir_.Write("cgroup/a/memory.max", "1000\n");
  dir_.Write("cgroup/a/memory.current", "5000\n");
  EXPECT_EQ(AvailableMiB(), 0);
}

TEST_F(AvailableMemoryTest, NothingToReadIsNothing) {
  EXPECT_EQ(AvailableHostBytes({dir_ / "none", dir_ / "none"}), 0);
}

TEST_F(AvailableMemoryTest, ThisMachineHasSome) { EXPECT_GT(AvailableBytes(at::kCPU), 0); }

}  // namespace
}  // namespace tessera
