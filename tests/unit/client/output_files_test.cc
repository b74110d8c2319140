#include "client/output_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Read(const std::string& path) {
  std::ostringstream content;
  content << std::ifstream(path).rdbuf();
  return content.str();
}

class OutputFilesTest : public testing::Test {
 protected:
  OutputFilesTest() { std::filesystem::create_directory(folder_); }
  ~OutputFilesTest() override { std::filesystem::remove_all(folder_); }

  size_t CountFiles() const {
    const std::filesystem::directory_iterator files(folder_);
    return std::distance(begin(files), end(files));
  }

  const std::string folder_ = absl::StrCat(testing::TempDir(), "/output-files-", getpid());
};

TEST(OutputPathsTest, OnePictureKeepsItsName) {
  EXPECT_THAT(OutputPaths("a.b/x.png", 1), ElementsAre("a.b/x.png"));
}

TEST(OutputPathsTest, SeveralAreNumberedBeforeTheExtension) {
  EXPECT_THAT(OutputPaths("x.png", 3), ElementsAre("x-0.png", "x-1.png", "x-2.png"));
  EXPECT_THAT(OutputPaths("a.b/x.y.png", 2), ElementsAre("a.b/x.y-0.png", "a.b/x.y-1.png"));
  EXPECT_THAT(OutputPaths("a.b/x", 2), ElementsAre("a.b/x-0", "a.b/x-1"));
}

TEST_F(OutputFilesTest, ReplacesAFileAndLeavesNothingElse) {
  const std::string path = folder_ + "/x.png";
  ASSERT_TRUE(WriteFileAtomically(path, "a longer first content").ok());
  ASSERT_TRUE(WriteFileAtomically(path, "second").ok());
  EXPECT_EQ(Read(path), "second");
  EXPECT_EQ(CountFiles(), 1u);
}

TEST_F(OutputFilesTest, NamesTheFileThatCannotBeWritten) {
  const std::string path = folder_ + "/missing/x.png";
  const absl::Status status = WriteFileAtomically(path, "bytes");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr(path));
}

TEST_F(OutputFilesTest, RefusesAFolderAndADevice) {
  for (const std::string& path : {folder_, std::string("/dev/null")}) {
    EXPECT_EQ(WriteFileAtomically(path, "bytes").code(), absl::StatusCode::kInvalidArgument)
        << path;
  }
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_EQ(CountFiles(), 0u);
}

}  // namespace
}  // namespace tessera
