#include "common/flags/strict_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Flags {
  int width = 7;
  std::vector<int> ranks;
  uint64_t seed = 7;
  double wait_s = 7;
  std::optional<double> guidance;
  std::string text = "unset";
  bool tls = false;
};

// What went wrong; empty when nothing did.
std::string Parse(std::vector<const char*> arguments, Flags& flags) {
  CLI::App app("test");
  app.add_option("--width", flags.width)->transform(NumberIn<int>(16, 4096));
  app.add_option("--ranks", flags.ranks)->delimiter(',')->transform(NumberIn<int>(1));
  app.add_option("--seed", flags.seed)->transform(NumberIn<uint64_t>());
  app.add_option("--wait", flags.wait_s)->transform(NumberIn<double>(0));
  app.add_option("--guidance", flags.guidance)->transform(NumberIn<double>());
  app.add_option("--text,text", flags.text);
  app.add_flag("--tls", flags.tls);
  arguments.insert(arguments.begin(), "test");
  try {
    ParseFlags(app, static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return "";
}

std::string ErrorOf(const std::vector<const char*>& arguments) {
  Flags flags;
  return Parse(arguments, flags);
}

TEST(StrictFlagsTest, NumbersReachTheirVariables) {
  Flags flags;
  EXPECT_EQ(Parse({"--width=64", "--ranks", "1,2", "--seed", "18446744073709551615", "--wait",
                   "1.5e1", "--guidance", "-0.5"},
                  flags),
            "");
  EXPECT_EQ(flags.width, 64);
  EXPECT_THAT(flags.ranks, ElementsAre(1, 2));
  EXPECT_EQ(flags.seed, 18446744073709551615u);
  EXPECT_EQ(flags.wait_s, 15);
  EXPECT_EQ(flags.guidance, -0.5);
}

TEST(StrictFlagsTest, LeadingZerosAreDecimal) {
  Flags flags;
  EXPECT_EQ(Parse({"--width=0100", "--ranks", "010,09", "--seed=0042", "--wait", "010"}, flags),
            "");
  EXPECT_EQ(flags.width, 100);
  EXPECT_THAT(flags.ranks, ElementsAre(10, 9));
  EXPECT_EQ(flags.seed, 42u);
  EXPECT_EQ(flags.wait_s, 10);
}

TEST(StrictFlagsTest, AnythingButOneDecimalNumberIsAnError) {
  for (const char* text : {"", " 64", "64 ", "64x", "0x40", "+64", "6 4", "64.0", "1e2", "sixty"}) {
    EXPECT_EQ(ErrorOf({"--width", text}),
              "--width: must be a whole number in [16, 4096], is \"" + std::string(text) + "\"");
  }
  for (const char* text : {"", "nan", "inf", "1s", "0x1p3"}) {
    EXPECT_EQ(ErrorOf({"--wait", text}),
              "--wait: must be a number of at least 0, is \"" + std::string(text) + "\"");
  }
  EXPECT_EQ(ErrorOf({"--guidance", "-inf"}), "--guidance: must be a number, is \"-inf\"");
}

TEST(StrictFlagsTest, NumbersOutOfRangeAreErrorsAndAreNotClamped) {
  for (const char* text : {"15", "4097", "-64", "2147483648", "99999999999999999999"}) {
    EXPECT_THAT(ErrorOf({"--width", text}), HasSubstr("in [16, 4096], is \"")) << text;
  }
  for (const char* text : {"-1", "18446744073709551616"}) {
    EXPECT_EQ(ErrorOf({"--seed", text}),
              "--seed: must be a whole number in [0, 18446744073709551615], is \"" +
                  std::string(text) + "\"");
  }
  EXPECT_THAT(ErrorOf({"--wait", "-0.1"}), HasSubstr("of at least 0"));
  EXPECT_THAT(ErrorOf({"--wait", "1e999"}), HasSubstr("must be a number"));
  EXPECT_THAT(ErrorOf({"--ranks", "1,0"}), HasSubstr("--ranks: must be a whole number in [1, "));
}

TEST(StrictFlagsTest, AnEmptyValueDoesNotTakeTheNextArgument) {
  for (const char* argument : {"--text=", "--width=", "--tls=", "--no-such-flag="}) {
    Flags flags;
    EXPECT_THAT(Parse({argument, "64"}, flags), HasSubstr("no value follows \"=\""));
    EXPECT_EQ(flags.text, "unset");
    EXPECT_EQ(flags.width, 7);
  }
}

TEST(StrictFlagsTest, AnEmptyTextAndOneThatEndsWithAnEqualsSignAreValues) {
  Flags flags;
  EXPECT_EQ(Parse({"--text", ""}, flags), "");
  EXPECT_EQ(flags.text, "");
  EXPECT_EQ(Parse({"--text=1+1="}, flags), "");
  EXPECT_EQ(flags.text, "1+1=");
  EXPECT_EQ(Parse({"--", "--text="}, flags), "");
  EXPECT_EQ(flags.text, "--text=");
}

TEST(StrictFlagsTest, AnEmptyTextIsRefusedWhereOneIsNeeded) {
  CLI::App app("test");
  std::string file;
  app.add_option("--file", file)->check(NotEmpty());
  const char* const empty[] = {"test", "--file", ""};
  EXPECT_THROW(ParseFlags(app, 3, empty), CLI::ValidationError);
  const char* const filled[] = {"test", "--file", "x"};
  ParseFlags(app, 3, filled);
  EXPECT_EQ(file, "x");
}

TEST(StrictFlagsTest, HelpTellsBounds) {
  CLI::App app("test");
  Flags flags;
  app.add_option("--width", flags.width)->transform(NumberIn<int>(16, 4096));
  app.add_option("--seed", flags.seed)->transform(NumberIn<uint64_t>());
  EXPECT_THAT(app.help(), HasSubstr("--width INT:in [16, 4096]"));
  EXPECT_THAT(app.help(), ::testing::Not(HasSubstr("18446744073709551615")));
}

TEST(StrictFlagsDeathTest, AnErrorEndsTheProgramWith2AndHelpWith0) {
  CLI::App app("test");
  const char* const wrong[] = {"test", "--width"};
  EXPECT_EXIT(ParseFlagsOrExit(app, 2, wrong), ::testing::ExitedWithCode(2), "--width");
  const char* const help[] = {"test", "--help"};
  EXPECT_EXIT(ParseFlagsOrExit(app, 2, help), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace tessera
