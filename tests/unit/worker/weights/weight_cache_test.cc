#include "worker/weights/weight_cache.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "tests/support/open_weights.h"
#include "tests/support/temp_dir.h"
#include "worker/weights/safetensors_writer.h"
#include "worker/weights/weight_reader.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::OpenWeights;
using testing::TempDir;

// A float32 part of one tensor, taken in bfloat16 through a cache.
class WeightCacheTest : public ::testing::Test {
 protected:
  void SetUp() override { WritePart(1.0); }

  void WritePart(double value) const {
    ASSERT_TRUE(
        WriteSafetensors(dir_ / "part/model.safetensors", {{"w", at::full({64}, value)}}).ok());
  }

  absl::StatusOr<double> TakeSum() const {
    auto reader = OpenWeights(dir_ / "part", "model", {at::kBFloat16, at::kCPU, cache_dir()});
    if (!reader.ok()) return reader.status();
    return reader->Take("w", {64}).sum().item<double>();
  }

  std::string cache_dir() const { return dir_ / "cache"; }

  // The finished file; there is exactly one.
  std::string CacheFile() const {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(cache_dir())) {
      if (entry.path().extension() == ".safetensors") files.push_back(entry.path().string());
    }
    EXPECT_EQ(files.size(), 1);
    return files.empty() ? "" : files.front();
  }

  static ino_t Inode(const std::string& path) {
    struct stat info = {};
    stat(path.c_str(), &info);
    return info.st_ino;
  }

  const TempDir dir_;
  const std::string part_ = dir_.Write("part/unused", "");
};

TEST_F(WeightCacheTest, ConvertsOnceAndLeavesNothingElse) {
  ASSERT_EQ(TakeSum().value(), 64);
  const ino_t first = Inode(CacheFile());
  ASSERT_EQ(TakeSum().value(), 64);
  EXPECT_EQ(Inode(CacheFile()), first);
  for (const auto& entry : fs::directory_iterator(cache_dir())) {
    EXPECT_NE(entry.path().extension(), ".partial");
  }
}

TEST_F(WeightCacheTest, ReplacesTheConversionOfChangedSources) {
  ASSERT_EQ(TakeSum().value(), 64);
  const std::string file = CacheFile();
  WritePart(2.0);
  // Even where the clock is too coarse to tell the two apart.
  fs::last_write_time(
      dir_ / "part/model.safetensors",
      fs::last_write_time(dir_ / "part/model.safetensors") + std::chrono::seconds(1));
  EXPECT_EQ(TakeSum().value(), 128);
  EXPECT_EQ(CacheFile(), file);
}

TEST_F(WeightCacheTest, NeverUsesADamagedFile) {
  ASSERT_EQ(TakeSum().value(), 64);
  const std::string file = CacheFile();
  const std::string whole = dir_.Read("cache/" + fs::path(file).filename().string());
  std::string other_key = whole;
  const size_t key = other_key.find("tessera_source\":\"") + 17;
  other_key[key] = other_key[key] == '0' ? '1' : '0';
  std::string other_shape = whole;
  other_shape.replace(other_shape.find("[64]"), 4, "[8,8]");
  const std::vector<std::string> damaged = {
      "", "garbage", whole.substr(0, whole.size() - 1), whole + "x", other_key, other_shape};
  for (const std::string& bytes : damaged) {
    fs::remove(file);
    dir_.Write("cache/" + fs::path(file).filename().string(), bytes);
    EXPECT_EQ(TakeSum().value(), 64);
    EXPECT_EQ(dir_.Read("cache/" + fs::path(file).filename().string()), whole);
  }
}

TEST_F(WeightCacheTest, TellsSourcesOfTheSamePathSizeAndTimesApart) {
  const std::string source = dir_ / "part/model.safetensors";
  const auto time = fs::last_write_time(source);
  ASSERT_EQ(TakeSum().value(), 64);
  WritePart(2.0);
  fs::last_write_time(source, time);
  EXPECT_EQ(TakeSum().value(), 128);
}

TEST_F(WeightCacheTest, ASourceThatIsOnlyTouchedIsNotConvertedAgain) {
  ASSERT_EQ(TakeSum().value(), 64);
  const ino_t first = Inode(CacheFile());
  const std::string source = dir_ / "part/model.safetensors";
  fs::last_write_time(source, fs::last_write_time(source) + std::chrono::seconds(5));
  EXPECT_EQ(TakeSum().value(), 64);
  EXPECT_EQ(Inode(CacheFile()), first);
}

TEST_F(WeightCacheTest, NeverUsesAFileWithAFlippedBitOrAZeroedHalf) {
  ASSERT_EQ(TakeSum().value(), 64);
  const std::string name = "cache/" + fs::path(CacheFile()).filename().string();
  const std::string whole = dir_.Read(name);
  const auto time = fs::last_write_time(dir_ / name);
  std::string flipped = whole, zeroed = whole;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  std::fill(zeroed.end() - 64, zeroed.end(), '\0');
  for (const std::string& bytes : {flipped, zeroed}) {
    dir_.Write(name, bytes);
    fs::last_write_time(dir_ / name, time);
    EXPECT_EQ(TakeSum().value(), 64);
    EXPECT_EQ(dir_.Read(name), whole);
  }
}

TEST_F(WeightCacheTest, AFolderInThePlaceOfTheFileIsAnErrorThatNamesIt) {
  ASSERT_EQ(TakeSum().value(), 64);
  const std::string file = CacheFile();
  fs::remove(file);
  fs::create_directory(file);
  EXPECT_THAT(TakeSum().status().ToString(), HasSubstr(file));
}

TEST_F(WeightCacheTest, ALockThatAStrangerHoldsIsAnErrorInTime) {
  ASSERT_EQ(TakeSum().value(), 64);
  const std::string file = CacheFile();
  fs::remove(file);
  const std::string lock = file + ".lock";
  const UniqueFd stranger(open(lock.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(flock(stranger.get(), LOCK_EX), 0);
  auto source = SafetensorsFile::Open(dir_ / "part/model.safetensors");
  ASSERT_TRUE(source.ok()) << source.status();
  Conversion conversion;
  conversion.part = "part";
  conversion.sources = {*source};
  conversion.dtype = at::kBFloat16;
  conversion.cache_dir = cache_dir();
  conversion.lock_patience = std::chrono::milliseconds(50);
  const absl::Status status = OpenConverted(conversion).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.ToString(), HasSubstr(lock));
}

TEST_F(WeightCacheTest, StartsOverWhereAnotherProcessWasKilled) {
  ASSERT_EQ(TakeSum().value(), 64);
  const std::string name = "cache/" + fs::path(CacheFile()).filename().string();
  fs::rename(dir_ / name, dir_ / (name + ".partial"));
  fs::resize_file(dir_ / (name + ".partial"), 100);
  EXPECT_EQ(TakeSum().value(), 64);
  EXPECT_FALSE(fs::exists(dir_ / (name + ".partial")));
}

TEST_F(WeightCacheTest, KeepsOneFileForEachComputeType) {
  ASSERT_EQ(TakeSum().value(), 64);
  const std::string bf16 = CacheFile();
  fs::rename(bf16, dir_ / "aside.safetensors");
  auto reader = OpenWeights(dir_ / "part", "model", {at::kHalf, at::kCPU, cache_dir()});
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_NE(CacheFile(), bf16);
}

TEST_F(WeightCacheTest, NamesADirectoryThatCannotBeWritten) {
  dir_.Write("cache", "a file where the folder should be");
  EXPECT_THAT(TakeSum().status().ToString(), HasSubstr(cache_dir()));
}

TEST_F(WeightCacheTest, DoesNotTrustAnotherUsersFile) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  ASSERT_EQ(TakeSum().value(), 64);
  const ino_t before = Inode(CacheFile());
  ASSERT_EQ(chown(CacheFile().c_str(), 12345, 12345), 0);
  EXPECT_EQ(TakeSum().value(), 64);
  EXPECT_NE(Inode(CacheFile()), before);
}

TEST(DefaultCacheDirTest, PrefersTheMostSpecificVariable) {
  unsetenv("TESSERA_CACHE_DIR");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  EXPECT_THAT(DefaultCacheDir(), ::testing::EndsWith("/tessera-" + std::to_string(geteuid())));
  setenv("HOME", "/home/u", 1);
  EXPECT_EQ(DefaultCacheDir(), "/home/u/.cache/tessera");
  setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(DefaultCacheDir(), "/xdg/tessera");
  setenv("TESSERA_CACHE_DIR", "/own", 1);
  EXPECT_EQ(DefaultCacheDir(), "/own");
}

// Starts open_weights with `input` as its standard input and a file as its output.
pid_t StartOpenWeights(const TempDir& dir, int input, const std::string& output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  std::vector<std::string> arguments = {TESSERA_OPEN_WEIGHTS, dir / "part", "model", dir / "cache"};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

TEST(WeightCacheProcessesTest, ThreeAtOnceShareOneFile) {
  const TempDir dir;
  dir.Write("part/unused", "");
  ASSERT_TRUE(
      WriteSafetensors(dir / "part/model.safetensors", {{"w", at::ones({1024, 4096})}}).ok());
  int pipe_ends[2] = {-1, -1};
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  const UniqueFd read_end(pipe_ends[0]);
  std::vector<pid_t> processes;
  {
    const UniqueFd write_end(pipe_ends[1]);  // they start together when it is closed
    for (int i = 0; i < 3; ++i) {
      processes.push_back(StartOpenWeights(dir, read_end.get(), dir / std::to_string(i)));
    }
  }
  for (const pid_t process : processes) {
    int status = -1;
    ASSERT_EQ(waitpid(process, &status, 0), process);
    ASSERT_EQ(status, 0);
  }
  struct stat cached = {};
  for (const auto& entry : fs::directory_iterator(dir / "cache")) {
    if (entry.path().extension() == ".safetensors") stat(entry.path().c_str(), &cached);
  }
  // Had two of them converted, the second file would have taken the place of the first.
  const std::string expected = "4.1943e+06 " + std::to_string(cached.st_ino) + "\n";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(dir.Read(std::to_string(i)), expected);
}

}  // namespace
}  // namespace tessera
