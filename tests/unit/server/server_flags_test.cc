#include "server/server_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "tests/support/flag_walk.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tls_identity.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<ServerFlags> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "tessera-server");
  return ParseServerFlags(static_cast<int>(arguments.size()), arguments.data());
}

// Sets an environment variable for the length of a scope.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Environment() { unsetenv(name_); }

 private:
  const char* name_;
};

TEST(ServerFlagsTest, SpawnedWorkersAreTheGroupAndLinkOverLoopback) {
  const auto flags = Parse({"--model", "m", "--spawn-workers", "3"});
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(flags->group_size, 3);
  EXPECT_EQ(flags->worker_listen, "127.0.0.1:0");
  EXPECT_EQ(flags->device, "cpu");
}

TEST(ServerFlagsTest, EveryFlagHasAnEnvironmentTwin) {
  const Environment group_size("TESSERA_GROUP_SIZE", "4");
  const Environment token("TESSERA_TOKEN", "secret");
  const Environment text_mode("TESSERA_TEXT_MODE", "replicated");
  const auto flags = Parse({"--group-size", "2"});
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(flags->group_size, 2);  // the command line wins
  EXPECT_EQ(flags->token, "secret");
  EXPECT_EQ(flags->text_mode, "replicated");
  EXPECT_EQ(flags->worker_listen, "127.0.0.1:50052");
}

struct Refused {
  std::vector<const char*> arguments;
  const char* problem;
};

TEST(ServerFlagsTest, RefusesFlagsThatDoNotGoTogether) {
  const Refused refused[] = {
      {{}, "--spawn-workers N, or --group-size N"},
      {{"--spawn-workers", "1"}, "needs --model"},
      {{"--group-size", "2"}, "need --token-file or --token"},
      {{"--group-size", "2", "--token", "a", "--token-file", "b"}, "--token or --token-file"},
      {{"--group-size", "2", "--token", "a", "--tls-cert", "b"}, "--tls-cert and --tls-key"},
      {{"--group-size", "2", "--token", "a", "--tls-client-ca", "b"}, "needs --tls-cert"},
      {{"--model", "m", "--spawn-workers", "1", "--group-size", "2"}, "needs --worker-listen"},
      {{"--model", "m", "--spawn-workers", "2", "--worker-listen", "unix:/run/socket"},
       "--worker-listen HOST:PORT"},
      {{"--model", "m", "--spawn-workers", "2", "--collectives", "nccl"}, "needs --device cuda"},
      {{"--model", "m", "--spawn-workers", "2", "--cuda-path", "tuned"}, "needs --device cuda"},
  };
  for (const Refused& expected : refused) {
    const auto flags = Parse(expected.arguments);
    EXPECT_EQ(flags.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(flags.status().message()), HasSubstr(expected.problem));
  }
}

TEST(ServerFlagsDeathTest, EndsForAMalformedFlag) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT((void)Parse({"--group-size", "many"}), [](int status) { return status != 0; },
              "--group-size");
  EXPECT_EXIT((void)Parse({"--text-mode", "both"}), [](int status) { return status != 0; },
              "--text-mode");
}

TEST(ServerFlagsTest, NoFlagTakesAWrongValue) {
  ServerFlags flags;
  CLI::App app("test");
  AddServerFlags(app, flags);
  EXPECT_GE(testing::FlagWalk(app, {}).Run(), 20);
}

TEST(ServerFlagsDeathTest, AnAddressNeedsAPortThatExists) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT((void)Parse({"--group-size=1", "--token=t", "--listen=127.0.0.1"}),
              ::testing::ExitedWithCode(2), "--listen: must be HOST:PORT with a port in");
  EXPECT_EXIT((void)Parse({"--group-size=1", "--token=t", "--worker-listen=127.0.0.1:99999"}),
              ::testing::ExitedWithCode(2), "--worker-listen: must be HOST:PORT with a port in");
}

TEST(ServerFlagsDeathTest, AFlagForASecretOrAnAuthorityIsNotSwitchedOffByAnEmptyValue) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const std::string flag :
       {"--token", "--token-file", "--tls-cert", "--tls-key", "--tls-client-ca"}) {
    const std::string empty = flag + "=";
    EXPECT_EXIT((void)Parse({"--group-size=1", empty.c_str()}), ::testing::ExitedWithCode(2),
                flag + ": must not be empty");
  }
}

TEST(ServerFlagsTest, MakesTheServersOptions) {
  const testing::TempDir folder;
  std::ofstream(folder.path() + "/token") << "from a file\n";
  const std::string token_file = folder.path() + "/token";
  const auto flags = Parse({"--group-size", "2", "--token-file", token_file.c_str(),
                            "--max-queue-length", "7", "--sync-steps", "3", "--refresh-every", "4",
                            "--text-mode", "replicated", "--max-unary-reply-bytes", "1000"});
  ASSERT_TRUE(flags.ok()) << flags.status();
  const auto options = MakeServerOptions(*flags);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->worker_token, "from a file");
  EXPECT_EQ(options->core.group.size, 2);
  EXPECT_EQ(options->core.scheduler.max_queue_length, 7);
  EXPECT_EQ(options->max_unary_reply_bytes, 1000);
  EXPECT_EQ(options->core.scheduler.defaults.sync_steps, 3);
  EXPECT_EQ(options->core.scheduler.defaults.refresh_every, 4);
  EXPECT_EQ(options->core.scheduler.defaults.text_mode, v1::TEXT_MODE_REPLICATED);
  EXPECT_FALSE(options->tls.has_value());
  EXPECT_FALSE(options->model.has_value());
}

TEST(ServerFlagsTest, NamesFilesThatCannotBeRead) {
  ServerFlags flags;
  flags.token_file = "/nowhere/token";
  EXPECT_THAT(std::string(MakeServerOptions(flags).status().message()),
              HasSubstr("/nowhere/token"));
  flags = {};
  flags.tls_cert = "/nowhere/cert";
  EXPECT_THAT(std::string(MakeServerOptions(flags).status().message()), HasSubstr("/nowhere/cert"));
  flags = {};
  flags.model = "/nowhere/model";
  EXPECT_THAT(std::string(MakeServerOptions(flags).status().message()),
              HasSubstr("/nowhere/model"));
}

TEST(ServerFlagsTest, AnEmptyClientAuthorityIsARefusalToStart) {
  const testing::TempDir folder;
  const testing::TlsIdentity identity = testing::MakeTlsIdentity();
  ServerFlags flags;
  flags.tls_cert = folder.path() + "/cert";
  flags.tls_key = folder.path() + "/key";
  flags.tls_client_ca = folder.path() + "/ca";
  std::ofstream(flags.tls_cert) << identity.certificate;
  std::ofstream(flags.tls_key) << identity.key;
  std::ofstream(flags.tls_client_ca).flush();
  EXPECT_THAT(std::string(MakeServerOptions(flags).status().message()),
              HasSubstr("--tls-client-ca: " + flags.tls_client_ca + ": expected certificates"));
  std::ofstream(flags.tls_client_ca) << identity.certificate;
  EXPECT_EQ(MakeServerOptions(flags).value().tls->client_ca, identity.certificate);
}

TEST(ServerFlagsTest, DrawsATokenOfItsOwnEachTime) {
  const ServerFlags flags;
  const auto first = MakeServerOptions(flags);
  const auto second = MakeServerOptions(flags);
  EXPECT_GE(first->worker_token.size(), 32u);
  EXPECT_NE(first->worker_token, second->worker_token);
}

TEST(ServerFlagsTest, ChildrenDialTheChosenPort) {
  ServerFlags flags;
  flags.worker_listen = "0.0.0.0:0";
  EXPECT_EQ(MakeChildOptions(flags, "t", 4242).server, "127.0.0.1:4242");
  flags.worker_listen = "[::1]:0";
  EXPECT_EQ(MakeChildOptions(flags, "t", 4242).server, "[::1]:4242");
}

TEST(ServerFlagsTest, ChildrenGetEverySetting) {
  const auto flags = Parse({"--model", "m", "--spawn-workers", "2", "--dtype=bfloat16",
                            "--threads=3", "--text-encoder=rank0", "--job-memory-mb=512",
                            "--weight-cache=/cache", "--log-level=debug"});
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(
      ArgumentsOf(MakeChildOptions(*flags, "t", 4242).settings),
      (std::vector<std::string>{"--dtype=bfloat16", "--threads=3", "--text-encoder=rank0",
                                "--job-memory-mb=512", "--collectives=gloo", "--cuda-path=aten",
                                "--weight-cache=/cache", "--log-level=debug"}));
}

TEST(ServerFlagsTest, ChildrenExchangeByWhatWasChosen) {
  const auto flags = Parse({"--model", "m", "--spawn-workers", "2", "--device", "cuda",
                            "--collectives", "nccl", "--cuda-path", "tuned"});
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(MakeChildOptions(*flags, "t", 4242).settings.collectives, "nccl");
  EXPECT_EQ(MakeChildOptions(*flags, "t", 4242).settings.cuda_path, "tuned");
}

}  // namespace
}  // namespace tessera
