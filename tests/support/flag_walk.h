#pragma once

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/flags/strict_flags.h"

namespace tessera::testing {

// Parses the command lines that a person gets wrong, for every flag of a program.
class FlagWalk {
 public:
  // `needed` are the flags without which the program parses nothing, and their values.
  FlagWalk(CLI::App& app, std::map<std::string, std::string> needed)
      : app_(app), needed_(std::move(needed)) {}

  // A test failure for each flag that takes what it should not. Returns how many flags there were.
  int Run() {
    int flags = 0;
    for (const CLI::Option* const option : app_.get_options()) {
      if (option->get_lnames().empty() || option->get_lnames().front() == "help") continue;
      const std::string name = "--" + option->get_lnames().front();
      SCOPED_TRACE(name);
      ++flags;
      TryEmptyValue(name, *option);
      TryUnknownFlag(name);
      TryNumbers(name, option->get_type_name());
      TryChoices(name, option->get_type_name());
    }
    return flags;
  }

 private:
  // What is wrong with these arguments beside the needed ones; empty when nothing is.
  std::string ErrorOf(const std::string& name, const std::vector<std::string>& arguments) {
    std::vector<std::string> line = {"program"};
    for (const auto& [flag, value] : needed_) {
      if (flag != name) line.push_back(absl::StrCat(flag, "=", value));
    }
    line.insert(line.end(), arguments.begin(), arguments.end());
    std::vector<const char*> argv;
    for (const std::string& argument : line) argv.push_back(argument.c_str());
    try {
      ParseFlags(app_, static_cast<int>(argv.size()), argv.data());
    } catch (const CLI::ParseError& error) {
      return error.what();
    }
    return "";
  }

  void TryEmptyValue(const std::string& name, const CLI::Option& option) {
    const std::string error = ErrorOf(name, {name + "="});
    if (error.empty()) {
      EXPECT_EQ(option.results(), std::vector<std::string>{""});
    } else {
      EXPECT_TRUE(absl::StartsWith(error, name)) << error;
    }
    // An argument that follows is not the flag's value, so nothing expects it.
    const std::string stray = ErrorOf(name, {name + "=", "stray"});
    EXPECT_TRUE(absl::StrContains(stray, error.empty() ? "stray" : name)) << stray;
  }

  void TryUnknownFlag(const std::string& name) {
    const std::string unknown = name + "-x";
    for (const std::string& argument : {unknown, unknown + "=1", unknown + "="}) {
      EXPECT_TRUE(absl::StrContains(ErrorOf("", {argument}), argument)) << argument;
    }
  }

  // `type` ends with the bounds of a number, "INT:in [0, 64]".
  void TryNumbers(const std::string& name, const std::string& type) {
    const size_t begin = type.find("in [");
    if (begin == std::string::npos) {
      TryNumberOfAnySize(name, type);
      return;
    }
    const std::vector<std::string> bounds =
        absl::StrSplit(type.substr(begin + 4, type.find(']') - begin - 4), ", ");
    ASSERT_EQ(bounds.size(), 2u);
    double least = 0, most = 0;
    ASSERT_TRUE(absl::SimpleAtod(bounds[0], &least) && absl::SimpleAtod(bounds[1], &most)) << type;
    // In octal, this would be another number or none.
    EXPECT_EQ(ErrorOf(name, {absl::StrCat(name, "=0", bounds[1])}), "");
    EXPECT_EQ(ErrorOf(name, {absl::StrCat(name, "=", bounds[0])}), "");
    for (const std::string& value :
         {absl::StrFormat("0%.0f", most + 1), absl::StrFormat("%.0f", least - 1),
          std::string("99999999999999999999"), std::string("1x"), std::string("0x1"),
          std::string("nan")}) {
      const std::string error = ErrorOf(name, {absl::StrCat(name, "=", value)});
      EXPECT_TRUE(absl::StartsWith(error, name)) << error;
      EXPECT_TRUE(absl::StrContains(error, absl::StrCat("\"", value, "\""))) << error;
      EXPECT_TRUE(absl::StrContains(error, bounds[1])) << error;
    }
  }

  // A number whose bounds are those of its type, or are known to the server alone.
  void TryNumberOfAnySize(const std::string& name, const std::string& type) {
    const bool whole = absl::StartsWith(type, "INT") || absl::StartsWith(type, "UINT");
    if (!whole && !absl::StartsWith(type, "FLOAT")) return;
    EXPECT_EQ(ErrorOf(name, {name + "=0100"}), "");
    for (const std::string value : {whole ? "99999999999999999999" : "1e999", "1x", "0x1", "nan"}) {
      const std::string error = ErrorOf(name, {absl::StrCat(name, "=", value)});
      EXPECT_TRUE(absl::StartsWith(error, name)) << error;
      EXPECT_TRUE(absl::StrContains(error, absl::StrCat("\"", value, "\""))) << error;
    }
  }

  // `type` ends with the choices, "TEXT:{split,replicated}".
  void TryChoices(const std::string& name, const std::string& type) {
    const size_t begin = type.find('{');
    if (begin == std::string::npos) return;
    const std::string error = ErrorOf(name, {name + "=no-such-choice"});
    EXPECT_TRUE(absl::StartsWith(error, name)) << error;
    EXPECT_TRUE(absl::StrContains(error, "no-such-choice")) << error;
    EXPECT_TRUE(absl::StrContains(error, type.substr(begin, type.find('}') - begin))) << error;
  }

  CLI::App& app_;
  const std::map<std::string, std::string> needed_;
};

}  // namespace tessera::testing
