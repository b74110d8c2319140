#include "common/tls/tls_files.h"

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

  const testing::TempDir folder_;
  const TlsIdentity server_ = MakeTlsIdentity();
  const std::string cert_ = Write("cert", server_.certificate);
  const std::string key_ = Write("key", server_.key);
};

// That INVALID_ARGUMENT names the flag and its file.
void ExpectRefused(const absl::Status& status, const std::string& flag, const std::string& file) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(flag + ": " + file + ": expected "));
}

TEST_F(TlsFilesTest, ReadsACertificateAndItsKey) {
  const absl::StatusOr<PemIdentity> identity = ReadPemIdentity(cert_, key_);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->certificate_chain, server_.certificate);
  EXPECT_EQ(identity->private_key, server_.key);
}

TEST_F(TlsFilesTest, ReadsAChainAndSeveralAuthorities) {
  const std::string others = MakeTlsIdentity().certificate + MakeTlsIdentity().certificate;
  EXPECT_TRUE(ReadPemIdentity(Write("chain", server_.certificate + others), key_).ok());
  EXPECT_EQ(ReadCertificates("--tls-ca", Write("authorities", others)).value(), others);
}

TEST_F(TlsFilesTest, RefusesEmptyAndUnparsableFiles) {
  const std::string& whole = server_.certificate;
  const std::string cut = whole.substr(0, whole.size() / 2);
  for (const std::string& content : {std::string(), std::string("not PEM"), cut, whole + cut}) {
    const std::string bad = Write("bad", content);
    ExpectRefused(ReadPemIdentity(bad, key_).status(), "--tls-cert", bad);
    ExpectRefused(ReadPemIdentity(cert_, bad).status(), "--tls-key", bad);
    ExpectRefused(ReadCertificates("--tls-client-ca", bad).status(), "--tls-client-ca", bad);
  }
}

TEST_F(TlsFilesTest, RefusesAKeyThatCannotServe) {
  const std::string other = Write("other", MakeTlsIdentity().key);
  ExpectRefused(ReadPemIdentity(cert_, other).status(), "--tls-key", other);
  const std::string locked = Write("locked", MakeTlsIdentity("a passphrase").key);
  ExpectRefused(ReadPemIdentity(cert_, locked).status(), "--tls-key", locked);
}

TEST_F(TlsFilesTest, NamesTheFlagOfAFileThatCannotBeRead) {
  const auto message = [](const auto& read) { return std::string(read.status().message()); };
  EXPECT_THAT(message(ReadPemIdentity("/nowhere", key_)), HasSubstr("--tls-cert: /nowhere"));
  EXPECT_THAT(message(ReadPemIdentity(cert_, "/nowhere")), HasSubstr("--tls-key: /nowhere"));
  EXPECT_THAT(message(ReadCertificates("--tls-ca", "/nowhere")), HasSubstr("--tls-ca: /nowhere"));
}

}  // namespace
}  // namespace tessera
