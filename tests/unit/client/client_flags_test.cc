#include "client/client_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "client/request_flags.h"
#include "common/request/field_values.h"
#include "tests/support/made_up_request.h"

namespace tessera {
namespace {

absl::StatusOr<ClientFlags> Parse(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv = {"tessera"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return ParseClientFlags(static_cast<int>(argv.size()), argv.data());
}

TEST(ClientFlagsTest, APromptIsEnough) {
  for (const auto& arguments :
       {std::vector<std::string>{"generate", "--prompt", "a fox"}, {"generate", "a fox"}}) {
    const ClientFlags flags = Parse(arguments).value();
    EXPECT_EQ(flags.command, ClientCommand::kGenerate);
    EXPECT_EQ(flags.request.ShortDebugString(), "prompt: \"a fox\"");
    EXPECT_EQ(flags.output, "tessera.png");
    EXPECT_FALSE(flags.picture.has_value());
    EXPECT_FALSE(flags.connection.tls.has_value());
    EXPECT_EQ(flags.connection.deadline_s, 0);
  }
}

TEST(ClientFlagsTest, AnEmptyPromptIsAPrompt) {
  EXPECT_EQ(Parse({"generate", "--prompt", ""}).value().request.prompt(), "");
}

TEST(ClientFlagsTest, EveryFlagReachesTheRequest) {
  const ClientFlags flags = Parse({"generate",
                                   "--prompt",
                                   "a",
                                   "--prompt-2",
                                   "b",
                                   "--negative-prompt",
                                   "c",
                                   "--negative-prompt-2",
                                   "d",
                                   "--true-cfg",
                                   "2.5",
                                   "--width",
                                   "64",
                                   "--height",
                                   "96",
                                   "--steps",
                                   "0",
                                   "--guidance",
                                   "0",
                                   "--seed",
                                   "18446744073709551615",
                                   "--images",
                                   "2",
                                   "--max-text-tokens",
                                   "77",
                                   "--sync-steps",
                                   "3",
                                   "--refresh-every",
                                   "0",
                                   "--text-mode",
                                   "replicated",
                                   "--request-id",
                                   "once",
                                   "--allow-ranks-change",
                                   "--output",
                                   "y.png",
                                   "--picture",
                                   "kitty",
                                   "--deadline",
                                   "1.5"})
                                .value();
  const v1::GenerateImageRequest& request = flags.request;
  EXPECT_EQ(request.prompt_2(), "b");
  EXPECT_EQ(request.negative_prompt(), "c");
  EXPECT_EQ(request.negative_prompt_2(), "d");
  EXPECT_EQ(request.true_cfg_scale(), 2.5);
  EXPECT_EQ(request.width(), 64);
  EXPECT_EQ(request.height(), 96);
  EXPECT_TRUE(request.has_num_inference_steps());  // 0 is given, and the server's to refuse
  EXPECT_EQ(request.num_inference_steps(), 0);
  EXPECT_TRUE(request.has_guidance_scale());
  EXPECT_EQ(request.seed(), 18446744073709551615u);
  EXPECT_EQ(request.num_images(), 2);
  EXPECT_EQ(request.max_sequence_length(), 77);
  EXPECT_EQ(request.sync_steps(), 3);
  EXPECT_TRUE(request.has_refresh_every());
  EXPECT_EQ(request.text_mode(), v1::TEXT_MODE_REPLICATED);
  EXPECT_EQ(request.request_id(), "once");
  EXPECT_TRUE(request.allow_ranks_change());
  EXPECT_EQ(flags.output, "y.png");
  EXPECT_EQ(flags.picture, PictureStyle::kKitty);
  EXPECT_EQ(flags.connection.deadline_s, 1.5);
}

// A value that the field takes and that is not its type's zero.
std::string SomeValue(const RequestField& row) {
  const auto& field = FieldOf(v1::GenerateImageRequest(), row);
  const auto* const type = field.enum_type();
  return type == nullptr ? "1" : EnumWord(*type->value(type->value_count() - 1));
}

TEST(ClientFlagsTest, EveryFieldOfTheRequestHasAFlag) {
  for (const RequestField& row : RequestFields()) {
    std::string flag = row.flag;
    flag = flag.substr(0, flag.find(','));
    std::vector<std::string> arguments = {"generate", "--prompt", "a"};
    if (flag == "--prompt") arguments.pop_back(), arguments.pop_back();
    arguments.push_back(flag);
    const bool is_switch = FieldOf(v1::GenerateImageRequest(), row).type() ==
                           google::protobuf::FieldDescriptor::TYPE_BOOL;
    if (!is_switch) arguments.push_back(SomeValue(row));
    const v1::GenerateImageRequest request = Parse(arguments).value().request;
    EXPECT_TRUE(IsGiven(request, row)) << row.name;
    EXPECT_EQ(FieldText(request, row), SomeValue(row)) << row.name;
  }
}

TEST(ClientFlagsTest, ANewFieldHasAFlagWithItsRow) {
  testing::MadeUpRequest request;
  const std::vector<RequestField> rows = testing::MadeUpRequest::Rows();
  CLI::App app("test");
  AddRequestFlags(app, request.message(), rows);
  EXPECT_THAT(app.help(), ::testing::HasSubstr("How much of it [0.5]"));
  const char* const arguments[] = {"test", "a cat", "--strength", "0.25"};
  app.parse(4, arguments);
  EXPECT_EQ(request.Strength(), 0.25);
}

TEST(ClientFlagsTest, LeadingZerosAreDecimal) {
  const ClientFlags flags =
      Parse({"generate", "a", "--seed=0042", "--width=0100", "--tries", "010"}).value();
  EXPECT_EQ(flags.request.seed(), 42u);
  EXPECT_EQ(flags.request.width(), 100);
  EXPECT_EQ(flags.connection.max_tries, 10);
}

TEST(ClientFlagsTest, AnEmptyTextIsAText) {
  const v1::GenerateImageRequest request =
      Parse({"generate", "a", "--negative-prompt", ""}).value().request;
  EXPECT_TRUE(request.has_negative_prompt());
  EXPECT_EQ(request.negative_prompt(), "");
}

struct WrongFlags {
  std::vector<std::string> arguments;  // of generate, beside the prompt
  std::string error;                   // a part of what is said
};

class WrongClientFlagsDeathTest : public ::testing::TestWithParam<WrongFlags> {};

TEST_P(WrongClientFlagsDeathTest, EndTheProgramWith2) {
  std::vector<std::string> arguments = {"generate", "a"};
  arguments.insert(arguments.end(), GetParam().arguments.begin(), GetParam().arguments.end());
  EXPECT_EXIT(Parse(arguments).IgnoreError(), ::testing::ExitedWithCode(2), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Values, WrongClientFlagsDeathTest,
    ::testing::Values(
        WrongFlags{{"--seed", "-1"},
                   "--seed: .*is \"-1\"; leave the flag out .*drawn by the server"},
        WrongFlags{{"--seed", "18446744073709551616"}, "--seed: must be a whole number"},
        WrongFlags{{"--width", "2147483648"}, "--width: must be a whole number"},
        WrongFlags{{"--width", ""}, "--width: must be a whole number"},
        WrongFlags{{"--width=", "64"}, "--width: "},
        WrongFlags{{"--steps", "4.5"}, "--steps: must be a whole number"},
        WrongFlags{{"--guidance", "much"}, "--guidance: must be a number"},
        WrongFlags{{"--text-mode", ""}, "--text-mode: .*the server's"},
        WrongFlags{{"--deadline", "-1"}, "--deadline: must be a number of at least 0"},
        WrongFlags{{"--tries", "1001"}, "--tries: must be a whole number in .1, 1000."},
        WrongFlags{{"--server", ""}, "--server: must not be empty"},
        WrongFlags{{"--tls-ca", ""}, "--tls-ca: must not be empty"},
        WrongFlags{{"--output", ""}, "--output: must not be empty"}));

TEST(ClientFlagsTest, EveryCommandTakesTheServer) {
  EXPECT_EQ(Parse({"info", "--server", "there:1"}).value().command, ClientCommand::kInfo);
  const ClientFlags flags = Parse({"health", "--server", "there:1"}).value();
  EXPECT_EQ(flags.command, ClientCommand::kHealth);
  EXPECT_EQ(flags.connection.server, "there:1");
  EXPECT_EQ(Parse({"health", "--alive"}).value().command, ClientCommand::kAlive);
}

TEST(ClientFlagsTest, ReadsTlsFiles) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/ca-", getpid(), ".pem");
  std::ofstream(path) << "certificates";
  EXPECT_EQ(Parse({"info", "--tls-ca", path}).value().connection.tls->root_certificates,
            "certificates");
  EXPECT_EQ(Parse({"info", "--tls"}).value().connection.tls->root_certificates, "");
  std::filesystem::remove(path);
  EXPECT_THAT(Parse({"info", "--tls-ca", path}).status().message(), ::testing::HasSubstr(path));
}

}  // namespace
}  // namespace tessera
