#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/tls_identity.h"
#include "tests/unit/server/rpc/server_harness.h"

namespace tessera {
namespace {

using testing::MakeTlsIdentity;
using testing::TlsIdentity;

class TlsTest : public ::testing::Test {
 protected:
  testing::ServerHarness Serve(const std::string& client_ca) {
    TesseraServerOptions options;
    options.listen = "127.0.0.1:0";
    options.tls = TlsOptions{.certificate_chain = server_.certificate,
                             .private_key = server_.key,
                             .client_ca = client_ca};
    return testing::ServerHarness(std::move(options));
  }

  grpc::Status Call(const testing::ServerHarness& harness,
                    const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    const auto stub =
        v1::ImageService::NewStub(grpc::CreateChannel(harness.Address(), credentials));
    grpc::ClientContext context;
    v1::GetServerInfoResponse info;
    return stub->GetServerInfo(&context, {}, &info);
  }
  std::shared_ptr<grpc::ChannelCredentials> Tls(const TlsIdentity& client) {
    return grpc::SslCredentials({.pem_root_certs = server_.certificate,
                                 .pem_private_key = client.key,
                                 .pem_cert_chain = client.certificate});
  }

  const TlsIdentity server_ = MakeTlsIdentity();
};

TEST_F(TlsTest, ServesClientsThatKnowTheCertificate) {
  const auto harness = Serve("");
  EXPECT_TRUE(Call(harness, Tls({})).ok());
  EXPECT_EQ(Call(harness, grpc::InsecureChannelCredentials()).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, AsksClientsForACertificateOfTheirAuthority) {
  const TlsIdentity client = MakeTlsIdentity();
  const auto harness = Serve(client.certificate);
  EXPECT_TRUE(Call(harness, Tls(client)).ok());
  EXPECT_FALSE(Call(harness, Tls({})).ok());
  EXPECT_FALSE(Call(harness, Tls(MakeTlsIdentity())).ok());
}

TEST(TesseraServerTest, NamesAnAddressThatIsTaken) {
  testing::ServerHarness first{TesseraServerOptions()};
  TesseraServerOptions options;
  options.listen = first.Address();
  const auto second = TesseraServer::Start(std::move(options));
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(std::string(second.status().message()).find(first.Address()), std::string::npos);
}

}  // namespace
}  // namespace tessera
