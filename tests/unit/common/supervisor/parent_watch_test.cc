#include "common/supervisor/parent_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <future>

namespace tessera {
namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    if (pipe(ends) != 0) abort();
    read = UniqueFd(ends[0]);
    write = UniqueFd(ends[1]);
  }
  UniqueFd read;
  UniqueFd write;
};

TEST(ParentWatchTest, CallsBackWhenTheParentsEndCloses) {
  Pipe pipe;
  std::promise<void> gone;
  ParentWatch watch(pipe.read.get(), [&] { gone.set_value(); });
  pipe.write = UniqueFd();
  gone.get_future().get();
}

TEST(ParentWatchTest, IgnoresWhatTheParentWrites) {
  Pipe pipe;
  std::atomic<bool> called = false;
  {
    ParentWatch watch(pipe.read.get(), [&] { called = true; });
    ASSERT_EQ(write(pipe.write.get(), "x", 1), 1);
  }
  EXPECT_FALSE(called);
}

TEST(ParentWatchTest, IsNotStartedWithoutASupervisor) {
  EXPECT_EQ(ParentWatch::ForThisProcess([] {}), nullptr);
}

}  // namespace
}  // namespace tessera
