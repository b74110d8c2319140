#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "tests/unit/server/rpc/server_harness.h"

namespace tessera {
namespace {

struct Identity {
  std::string certificate;  // PEM, self-signed, for 127.0.0.1
  std::string key;          // PEM
};

std::string TakeText(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

Identity MakeIdentity() {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  X509* x509 = certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
  X509_set_pubkey(x509, key.get());
  X509_NAME* name = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("127.0.0.1"), -1, -1, 0);
  X509_set_issuer_name(x509, name);
  for (const auto& [nid, value] : {std::pair(NID_subject_alt_name, "IP:127.0.0.1"),
                                   std::pair(NID_basic_constraints, "critical,CA:TRUE")}) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
  }
  X509_sign(x509, key.get(), EVP_sha256());

  BIO* certificate_text = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(certificate_text, x509);
  BIO* key_text = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(key_text, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {.certificate = TakeText(certificate_text), .key = TakeText(key_text)};
}

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
  std::shared_ptr<grpc::ChannelCredentials> Tls(const Identity& client) {
    return grpc::SslCredentials({.pem_root_certs = server_.certificate,
                                 .pem_private_key = client.key,
                                 .pem_cert_chain = client.certificate});
  }

  const Identity server_ = MakeIdentity();
};

TEST_F(TlsTest, ServesClientsThatKnowTheCertificate) {
  const auto harness = Serve("");
  EXPECT_TRUE(Call(harness, Tls({})).ok());
  EXPECT_EQ(Call(harness, grpc::InsecureChannelCredentials()).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, AsksClientsForACertificateOfTheirAuthority) {
  const Identity client = MakeIdentity();
  const auto harness = Serve(client.certificate);
  EXPECT_TRUE(Call(harness, Tls(client)).ok());
  EXPECT_FALSE(Call(harness, Tls({})).ok());
  EXPECT_FALSE(Call(harness, Tls(MakeIdentity())).ok());
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
