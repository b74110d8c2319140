#include "common/flags/worker_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/flags/strict_flags.h"

namespace tessera {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

WorkerSettings Parse(const std::vector<std::string>& arguments) {
  WorkerSettings settings;
  CLI::App app("test");
  AddWorkerSettings(app, settings, "Settings");
  AddEnvironmentTwins(app);
  std::vector<const char*> argv = {"test"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  ParseFlags(app, static_cast<int>(argv.size()), argv.data());
  return settings;
}

// Its value is none of the defaults.
std::string OtherValueOf(const WorkerSetting& row) {
  if (std::holds_alternative<int WorkerSettings::*>(row.field)) return "17";
  return row.choices.empty() ? "other" : row.choices.back();
}

std::string ValueOf(const WorkerSettings& settings, const WorkerSetting& row) {
  return std::visit([&](const auto field) { return absl::StrCat(settings.*field); }, row.field);
}

TEST(WorkerSettingsTest, EveryRowFillsAFieldOfItsOwn) {
  std::set<std::string> flags;
  for (const WorkerSetting& row : WorkerSettingTable()) {
    EXPECT_TRUE(flags.insert(row.flag).second) << row.flag << " stands twice";
    const std::string value = OtherValueOf(row);
    const WorkerSettings settings = Parse({row.flag, value});
    for (const WorkerSetting& other : WorkerSettingTable()) {
      const std::string expected =
          other.flag == row.flag ? value : ValueOf(WorkerSettings(), other);
      EXPECT_EQ(ValueOf(settings, other), expected) << row.flag << " and " << other.flag;
    }
  }
}

TEST(WorkerSettingsTest, DefaultsAreAmongTheChoices) {
  for (const WorkerSetting& row : WorkerSettingTable()) {
    if (row.choices.empty()) continue;
    EXPECT_THAT(row.choices, Contains(ValueOf(WorkerSettings(), row))) << row.flag;
  }
}

TEST(WorkerSettingsTest, ArgumentsGiveTheSameSettingsAgain) {
  std::vector<std::string> arguments;
  for (const WorkerSetting& row : WorkerSettingTable()) {
    arguments.push_back(absl::StrCat(row.flag, "=", OtherValueOf(row)));
  }
  EXPECT_EQ(ArgumentsOf(Parse(arguments)), arguments);
}

TEST(WorkerSettingsTest, ArgumentsWinOverTheEnvironmentOfTheWorker) {
  setenv("TESSERA_WEIGHT_CACHE", "/elsewhere", 1);
  setenv("TESSERA_DTYPE", "float16", 1);
  const WorkerSettings settings = Parse(ArgumentsOf(WorkerSettings()));
  unsetenv("TESSERA_WEIGHT_CACHE");
  unsetenv("TESSERA_DTYPE");
  EXPECT_EQ(settings.weight_cache, "");
  EXPECT_EQ(settings.dtype, "");
}

TEST(WorkerSettingsTest, HelpHasASentenceAndTheDefaultForEachSetting) {
  WorkerSettings settings;
  CLI::App app("test");
  app.option_defaults()->always_capture_default();
  AddWorkerSettings(app, settings, "Settings");
  for (const WorkerSetting& row : WorkerSettingTable()) {
    EXPECT_EQ(row.help.back(), '.') << row.flag;
    EXPECT_EQ(app.get_option(row.flag)->get_default_str(), ValueOf(WorkerSettings(), row));
  }
}

TEST(AddDeviceTest, TakesACpuAndNumberedGpus) {
  std::string device = "cpu";
  CLI::App app("test");
  AddDevice(app, device);
  const auto parse = [&](const std::string& value) {
    const std::string argument = "--device=" + value;
    const char* const argv[] = {"test", argument.c_str()};
    try {
      ParseFlags(app, 2, argv);
    } catch (const CLI::ParseError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  for (const std::string good : {"cpu", "cuda", "cuda:0", "cuda:127"}) {
    EXPECT_EQ(parse(good), "");
    EXPECT_EQ(device, good);
  }
  for (const std::string bad : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:128", "0"}) {
    EXPECT_THAT(parse(bad), HasSubstr("--device: must be cpu, cuda or cuda:K")) << bad;
  }
}

}  // namespace
}  // namespace tessera
