#include "server/tls_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"
#include "tests/support/tls_identity.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using testing::MakeTlsIdentity;
using testing::TlsIdentity;

class TlsFilesTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = folder_.path() + "/" + name;
    std::ofstream(path) << content;
    return path;
  }

  // That INVALID_ARGUMENT names the flag and its file.
  void ExpectRefused(const TlsFiles& files, const std::string& flag, const std::string& file) {
    const absl::Status status = ReadTlsFiles(files).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(flag + ": " + file + ": expected "));
  }

  const testing::TempDir folder_;
  const TlsIdentity server_ = MakeTlsIdentity();
  const TlsFiles good_ = {.cert = Write("cert", server_.certificate),
                          .key = Write("key", server_.key),
                          .client_ca = Write("ca", MakeTlsIdentity().certificate)};
};

TEST_F(TlsFilesTest, ReadsWhatTheFilesHold) {
  const absl::StatusOr<TlsOptions> tls = ReadTlsFiles(good_);
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_EQ(tls->certificate_chain, server_.certificate);
  EXPECT_EQ(tls->private_key, server_.key);
  EXPECT_THAT(tls->client_ca, HasSubstr("BEGIN CERTIFICATE"));
}

TEST_F(TlsFilesTest, WithoutClientAuthorityThereIsNone) {
  const absl::StatusOr<TlsOptions> tls = ReadTlsFiles({.cert = good_.cert, .key = good_.key});
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_EQ(tls->client_ca, "");
}

TEST_F(TlsFilesTest, AChainAndSeveralAuthoritiesAreRead) {
  const std::string others = MakeTlsIdentity().certificate + MakeTlsIdentity().certificate;
  EXPECT_TRUE(ReadTlsFiles({.cert = Write("chain", server_.certificate + others),
                            .key = good_.key,
                            .client_ca = Write("authorities", others)})
                  .ok());
}

TEST_F(TlsFilesTest, RefusesEmptyAndUnparsableFiles) {
  const std::string& whole = server_.certificate;
  const std::string cut = whole.substr(0, whole.size() / 2);
  for (const std::string& content : {std::string(), std::string("not PEM"), cut, whole + cut}) {
    const std::string bad = Write("bad", content);
    ExpectRefused({.cert = bad, .key = good_.key}, "--tls-cert", bad);
    ExpectRefused({.cert = good_.cert, .key = bad}, "--tls-key", bad);
    ExpectRefused({.cert = good_.cert, .key = good_.key, .client_ca = bad}, "--tls-client-ca", bad);
  }
}

TEST_F(TlsFilesTest, RefusesAKeyThatCannotServe) {
  const std::string other = Write("other", MakeTlsIdentity().key);
  ExpectRefused({.cert = good_.cert, .key = other}, "--tls-key", other);
  const std::string locked = Write("locked", MakeTlsIdentity("a passphrase").key);
  ExpectRefused({.cert = good_.cert, .key = locked}, "--tls-key", locked);
}

TEST_F(TlsFilesTest, NamesTheFlagOfAFileThatCannotBeRead) {
  const auto message = [](const TlsFiles& files) {
    return std::string(ReadTlsFiles(files).status().message());
  };
  EXPECT_THAT(message({.cert = "/nowhere", .key = good_.key}), HasSubstr("--tls-cert: /nowhere"));
  EXPECT_THAT(message({.cert = good_.cert, .key = "/nowhere"}), HasSubstr("--tls-key: /nowhere"));
  EXPECT_THAT(message({.cert = good_.cert, .key = good_.key, .client_ca = "/nowhere"}),
              HasSubstr("--tls-client-ca: /nowhere"));
}

}  // namespace
}  // namespace tessera
