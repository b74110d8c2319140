#include "worker/weights/mapped_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using testing::TempDir;

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

// Reads every byte, as tensor code would.
size_t CountNonZero(std::string_view bytes) {
  size_t count = 0;
  for (const char c : bytes) count += c != 0 ? 1 : 0;
  return count;
}

TEST(MappedFileTest, ShowsTheBytes) {
  const TempDir dir;
  const auto file = MappedFile::Open(dir.Write("x", "hello"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->bytes(), "hello");
  EXPECT_TRUE((*file)->Check().ok());
  EXPECT_TRUE(CheckMappedFiles().ok());
}

TEST(MappedFileTest, ReadsZerosWhereTheFileShrankAndSaysSo) {
  const TempDir dir;
  const std::string path = dir.Write("weights", std::string(5 * kPage, 'x'));
  const auto file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  std::filesystem::resize_file(path, 2 * kPage);
  EXPECT_EQ(CountNonZero((*file)->bytes()), 2 * kPage);
  EXPECT_EQ((*file)->Check().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(CheckMappedFiles().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(CheckMappedFiles().ToString(), HasSubstr(path));
}

TEST(MappedFileTest, RemembersAFaultAfterTheFileIsWholeAgain) {
  const TempDir dir;
  const std::string path = dir.Write("weights", std::string(2 * kPage, 'x'));
  const auto file = MappedFile::Open(path);
  struct stat before = {};
  ASSERT_EQ(stat(path.c_str(), &before), 0);
  std::filesystem::resize_file(path, 0);
  EXPECT_EQ(CountNonZero((*file)->bytes()), 0);
  std::filesystem::resize_file(path, 2 * kPage);
  const struct timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  EXPECT_EQ((*file)->Check().code(), absl::StatusCode::kDataLoss);
}

TEST(MappedFileTest, NoticesAChangeThatKeepsTheSize) {
  const TempDir dir;
  const std::string path = dir.Write("weights", "hello");
  const auto file = MappedFile::Open(path);
  struct timespec times[2] = {{0, UTIME_OMIT}, {1, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  EXPECT_EQ((*file)->Check().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT((*file)->Check().ToString(), HasSubstr(path));
}

TEST(MappedFileTest, DoesNotMindThatItsNameIsGiven) {
  const TempDir dir;
  const std::string path = dir.Write("weights", "hello");
  const auto file = MappedFile::Open(path);
  std::filesystem::rename(dir.Write("other", "h"), path);
  EXPECT_TRUE((*file)->Check().ok());
  EXPECT_EQ((*file)->bytes(), "hello");
}

TEST(MappedFileTest, DamageEndsWithItsMapping) {
  const TempDir dir;
  const std::string path = dir.Write("weights", std::string(kPage, 'x'));
  {
    const auto file = MappedFile::Open(path);
    std::filesystem::resize_file(path, 0);
    EXPECT_EQ(CountNonZero((*file)->bytes()), 0);
    EXPECT_FALSE(CheckMappedFiles().ok());
  }
  EXPECT_TRUE(CheckMappedFiles().ok());
}

TEST(MappedFileTest, MapsAnEmptyFile) {
  const TempDir dir;
  const auto file = MappedFile::Open(dir.Write("empty", ""));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE((*file)->bytes().empty());
}

TEST(MappedFileTest, RefusesWhatIsNoRegularFile) {
  const TempDir dir;
  const std::string pipe = dir / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::Open(pipe).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MappedFile::Open(dir.path()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MappedFile::Open(dir / "none").status().code(), absl::StatusCode::kNotFound);
}

TEST(FaultGuardTest, RefusesMoreRangesThanItsTableHoldsAndReusesFreedOnes) {
  const TempDir dir;
  const std::string path = dir.Write("x", "x");
  for (int round = 0; round < 2; ++round) {
    std::vector<std::shared_ptr<const MappedFile>> files;
    absl::Status status;
    while (status.ok() && files.size() <= 2000) {
      auto file = MappedFile::Open(path);
      status = file.status();
      if (file.ok()) files.push_back(*std::move(file));
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_GT(files.size(), 500);
  }
}

TEST(FaultGuardDeathTest, LeavesAFaultInAnotherMappingDeadly) {
  const TempDir dir;
  const auto guarded = MappedFile::Open(dir.Write("guarded", "x"));
  const std::string path = dir.Write("other", std::string(kPage, 'x'));
  const UniqueFd fd(open(path.c_str(), O_RDONLY));
  void* other = mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd.get(), 0);
  std::filesystem::resize_file(path, 0);
  const auto read_and_exit = [&] {
    static_cast<void>(*static_cast<const volatile char*>(other));
    std::_Exit(0);
  };
  EXPECT_DEATH(read_and_exit(), "");
  munmap(other, kPage);
}

TEST(FaultGuardDeathTest, LeavesASignalFromOutsideDeadly) {
  const TempDir dir;
  const auto guarded = MappedFile::Open(dir.Write("guarded", "x"));
  const auto raise_and_exit = [] {
    raise(SIGBUS);
    std::_Exit(0);
  };
  EXPECT_DEATH(raise_and_exit(), "");
}

TEST(FaultGuardDeathTest, HandsOtherSignalsToThePreviousHandler) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a process that has not guarded anything yet
  const TempDir dir;
  const std::string path = dir.Write("guarded", "x");
  const auto raise_after_guarding = [&] {
    signal(SIGBUS, [](int) { std::_Exit(42); });
    const auto guarded = MappedFile::Open(path);
    raise(SIGBUS);
    std::_Exit(0);
  };
  EXPECT_EXIT(raise_after_guarding(), ::testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace tessera
