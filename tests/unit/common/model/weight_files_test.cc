#include "common/model/weight_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TempDir;

std::vector<std::string> Names(const WeightFiles& files) {
  std::vector<std::string> names;
  for (const FileRef& file : files.files) names.push_back(file.name);
  return names;
}

TEST(WeightFilesTest, NamesEachShardOnceInOrder) {
  const TempDir dir;
  dir.Write("m.safetensors.index.json",
            R"({"metadata": {"total_size": 1},
                "weight_map": {"a": "2.safetensors", "b": "1.safetensors", "c": "2.safetensors"}})");
  const auto files = FindWeightFiles(dir.path(), "m", Precedence::kSingleFile);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(Names(*files), ElementsAre("1.safetensors", "2.safetensors"));
  EXPECT_EQ(files->files[1].path, dir / "2.safetensors");
  EXPECT_EQ(files->index.at("c"), "2.safetensors");
}

TEST(WeightFilesTest, TakesTheUnnumberedFileFirst) {
  const TempDir dir;
  dir.Write("m.safetensors", "");
  dir.Write("m.safetensors.index.json", R"({"weight_map": {"a": "1.safetensors"}})");
  const auto files = FindWeightFiles(dir.path(), "m", Precedence::kSingleFile);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(Names(*files), ElementsAre("m.safetensors"));
  EXPECT_TRUE(files->index.empty());
}

TEST(WeightFilesTest, TakesTheIndexFirstWhereItGoesFirst) {
  const TempDir dir;
  dir.Write("m.safetensors", "");
  EXPECT_THAT(Names(*FindWeightFiles(dir.path(), "m", Precedence::kIndex)),
              ElementsAre("m.safetensors"));
  dir.Write("m.safetensors.index.json", R"({"weight_map": {"a": "1.safetensors"}})");
  EXPECT_THAT(Names(*FindWeightFiles(dir.path(), "m", Precedence::kIndex)),
              ElementsAre("1.safetensors"));
}

TEST(WeightFilesTest, SaysWhatItLookedFor) {
  const TempDir dir;
  const absl::Status status = FindWeightFiles(dir.path(), "m", Precedence::kSingleFile).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(dir.path()), HasSubstr("m.safetensors.index.json")));
}

struct BadIndex {
  std::string name;
  std::string json;
  std::string message;
};

void PrintTo(const BadIndex& index, std::ostream* out) { *out << index.name; }

class BadIndexTest : public ::testing::TestWithParam<BadIndex> {};

TEST_P(BadIndexTest, IsRefused) {
  const TempDir dir;
  dir.Write("m.safetensors.index.json", GetParam().json);
  const absl::Status status = FindWeightFiles(dir.path(), "m", Precedence::kSingleFile).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("m.safetensors.index.json"), HasSubstr(GetParam().message)));
}

// An index of one tensor in this file.
std::string Naming(const std::string& file) {
  return R"({"weight_map": {"w": ")" + file + R"("}})";
}

INSTANTIATE_TEST_SUITE_P(
    All, BadIndexTest,
    ::testing::Values(BadIndex{"NotJson", "{", "invalid JSON"},
                      BadIndex{"Empty", "", "invalid JSON"}, BadIndex{"List", "[]", "JSON object"},
                      BadIndex{"NoMap", "{}", "weight_map"},
                      BadIndex{"MapIsAList", R"({"weight_map": ["a.safetensors"]})", "weight_map"},
                      BadIndex{"EmptyMap", R"({"weight_map": {}})", "weight_map"},
                      BadIndex{"FileIsANumber", R"({"weight_map": {"w": 1}})",
                               "'w': expected the name"},
                      BadIndex{"ParentFolder", Naming("../a.safetensors"), "'../a.safetensors'"},
                      BadIndex{"AbsolutePath", Naming("/etc/a.safetensors"), "same folder"},
                      BadIndex{"SubFolder", Naming("sub/a.safetensors"), "same folder"},
                      BadIndex{"Hidden", Naming(".safetensors"), "same folder"},
                      BadIndex{"EmptyName", Naming(""), "same folder"},
                      BadIndex{"AnotherKindOfFile", Naming("pytorch_model.bin"), "same folder"},
                      BadIndex{"NulInTheName", Naming("a\\u0000/../x.safetensors"), "same folder"}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(WeightFilesTest, ReportsEveryBadNameAtOnce) {
  const TempDir dir;
  dir.Write("m.safetensors.index.json",
            R"({"weight_map": {"a": "../x.safetensors", "b": 2, "good": "1.safetensors"}})");
  EXPECT_THAT(
      std::string(FindWeightFiles(dir.path(), "m", Precedence::kSingleFile).status().message()),
      AllOf(HasSubstr("'a'"), HasSubstr("'b'"), Not(HasSubstr("good"))));
}

}  // namespace
}  // namespace tessera
