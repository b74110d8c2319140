#include "worker/link/worker_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/support/flag_walk.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<WorkerFlags> Parse(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv = {"tessera-worker", "--server", "there:50052", "--model",
                                   "/models/tiny"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return ParseWorkerFlags(static_cast<int>(argv.size()), argv.data());
}

TEST(ParseDevicesTest, ExpandsRangesAndNames) {
  EXPECT_THAT(ParseDevices("0-2,5").value(), ElementsAre("cuda:0", "cuda:1", "cuda:2", "cuda:5"));
  EXPECT_THAT(ParseDevices("cpu,cpu,cuda:7").value(), ElementsAre("cpu", "cpu", "cuda:7"));
}

TEST(ParseDevicesTest, NamesWhatIsWrong) {
  for (const std::string list :
       {"", "0,,1", "0,x", "2-1", "-1", "1-", "cuda:", "cuda:-1", "cuda", "0-99999999", "1-2-3"}) {
    const absl::Status status = ParseDevices(list).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << list;
  }
  EXPECT_THAT(ParseDevices("0,x").status().message(), HasSubstr("found \"x\""));
  EXPECT_THAT(ParseDevices("0-63,0-63").status().message(), HasSubstr("at most 64, found 128"));
}

TEST(WorkerFlagsTest, NeedsOnlyServerAndModel) {
  const WorkerFlags flags = Parse({}).value();
  EXPECT_EQ(flags.server, "there:50052");
  EXPECT_EQ(flags.model, "/models/tiny");
  EXPECT_EQ(flags.device, "cpu");
  EXPECT_TRUE(flags.devices.empty());
  EXPECT_THAT(flags.name, HasSubstr(absl::StrCat(":", getpid())));
  EXPECT_EQ(flags.supervised_index, -1);
}

TEST(WorkerFlagsTest, TheEnvironmentYieldsToTheCommandLine) {
  setenv("TESSERA_DTYPE", "float16", 1);
  setenv("TESSERA_THREADS", "3", 1);
  const WorkerFlags flags = Parse({"--threads", "5"}).value();
  unsetenv("TESSERA_DTYPE");
  unsetenv("TESSERA_THREADS");
  EXPECT_EQ(flags.settings.dtype, "float16");
  EXPECT_EQ(flags.settings.threads, 5);
}

TEST(WorkerFlagsTest, AChildParsesWhatItsParentHandsOn) {
  WorkerFlags parent = Parse({"--devices",       "0-1",      "--dtype",        "bfloat16+fp8",
                              "--threads",       "2",        "--text-encoder", "rank0",
                              "--job-memory-mb", "512",      "--weight-cache", "/cache",
                              "--advertise",     "10.0.0.9", "--name",         "node",
                              "--log-level",     "debug",    "--token",        "secret",
                              "--collectives",   "nccl",     "--cuda-path",    "tuned"})
                           .value();
  EXPECT_THAT(parent.devices, ElementsAre("cuda:0", "cuda:1"));
  const std::vector<std::string> arguments = ChildArguments(parent, 1);
  EXPECT_THAT(arguments, ::testing::Not(::testing::Contains("secret")));
  const WorkerFlags child = Parse({arguments.begin() + 4, arguments.end()}).value();
  EXPECT_EQ(arguments[1], parent.server);
  EXPECT_EQ(arguments[3], parent.model);
  EXPECT_EQ(child.device, "cuda:1");
  EXPECT_TRUE(child.devices.empty());
  EXPECT_EQ(child.settings.dtype, "bfloat16+fp8");
  EXPECT_EQ(child.settings.threads, 2);
  EXPECT_EQ(child.settings.text_encoder, "rank0");
  EXPECT_EQ(child.settings.job_memory_mb, 512);
  EXPECT_EQ(child.settings.collectives, "nccl");
  EXPECT_EQ(child.settings.cuda_path, "tuned");
  EXPECT_EQ(child.settings.weight_cache, "/cache");
  EXPECT_EQ(child.advertise, "10.0.0.9");
  EXPECT_EQ(child.name, "node/1");
  EXPECT_EQ(child.settings.log_level, "debug");
}

TEST(WorkerFlagsTest, NoFlagTakesAWrongValue) {
  WorkerFlags flags;
  CLI::App app("test");
  AddWorkerFlags(app, flags);
  EXPECT_GE(testing::FlagWalk(app, {{"--server", "there:1"}, {"--model", "m"}}).Run(), 15);
}

TEST(WorkerFlagsDeathTest, NamesWhatIsWrongWithAListOfDevices) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT((void)Parse({"--devices", "0,x"}), ::testing::ExitedWithCode(2),
              "--devices: expected K, A-B, cpu or cuda:K, found \"x\"");
  EXPECT_EXIT((void)Parse({"--devices="}), ::testing::ExitedWithCode(2), "--devices: .*found \"\"");
}

TEST(WorkerFlagsTest, ASupervisedChildHasOneDevice) {
  setenv("TESSERA_DEVICES", "0-7", 1);
  const WorkerFlags flags = Parse({"--device", "cuda:3", "--supervised-index", "3"}).value();
  unsetenv("TESSERA_DEVICES");
  EXPECT_EQ(flags.device, "cuda:3");
  EXPECT_TRUE(flags.devices.empty());
}

TEST(WorkerFlagsTest, ReadsTheTokenFromItsFile) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/token-", getpid());
  std::ofstream(path) << "secret\n";
  EXPECT_EQ(Parse({"--token-file", path}).value().token, "secret");
  std::filesystem::remove(path);
  const absl::Status status = Parse({"--token-file", path}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr(path));
}

}  // namespace
}  // namespace tessera
