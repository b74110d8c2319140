#include "common/tls/tls_files.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

constexpr size_t kMaxPemBytes = size_t{1} << 20;

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Bio ReaderOf(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
}

// The first of at least one certificate, all of which can be parsed; else null.
Certificate ParseCertificates(const std::string& pem) {
  const Bio reader = ReaderOf(pem);
  ERR_clear_error();
  Certificate first(PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr), X509_free);
  if (first == nullptr) return first;
  for (;;) {
    const Certificate next(PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr), X509_free);
    if (next != nullptr) continue;
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (!at_end) first.reset();
    return first;
  }
}

Key ParseKey(const std::string& pem) {
  // Without this function OpenSSL would ask for a passphrase on the terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  Key key(PEM_read_bio_PrivateKey(ReaderOf(pem).get(), nullptr, no_passphrase, nullptr),
          EVP_PKEY_free);
  ERR_clear_error();
  return key;
}

absl::Status Refuse(const std::string& flag, const std::string& file, const char* problem) {
  return absl::InvalidArgumentError(absl::StrCat(flag, ": ", file, ": ", problem));
}

absl::StatusOr<std::string> Read(const std::string& flag, const std::string& file) {
  absl::StatusOr<std::string> content = ReadFile(file, kMaxPemBytes);
  if (content.ok()) return content;
  return absl::Status(content.status().code(),
                      absl::StrCat(flag, ": ", std::string(content.status().message())));
}

}  // namespace

absl::StatusOr<std::string> ReadCertificates(const std::string& flag, const std::string& file) {
  TESSERA_ASSIGN_OR_RETURN(std::string pem, Read(flag, file));
  if (ParseCertificates(pem) == nullptr) return Refuse(flag, file, "expected certificates in PEM");
  return pem;
}

absl::StatusOr<PemIdentity> ReadPemIdentity(const std::string& cert_file,
                                            const std::string& key_file) {
  PemIdentity identity;
  TESSERA_ASSIGN_OR_RETURN(identity.certificate_chain, ReadCertificates("--tls-cert", cert_file));
  TESSERA_ASSIGN_OR_RETURN(identity.private_key, Read("--tls-key", key_file));
  const Key key = ParseKey(identity.private_key);
  if (key == nullptr) {
    return Refuse("--tls-key", key_file, "expected a private key in PEM without a passphrase");
  }
  const Certificate certificate = ParseCertificates(identity.certificate_chain);
  const bool fits = X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (fits) return identity;
  return Refuse("--tls-key", key_file, "expected the key of the certificate in --tls-cert");
}

}  // namespace tessera
