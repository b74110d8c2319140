#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace tessera {

// The PEM files that the flags of a program name. INVALID_ARGUMENT names the flag and the file when
// the file does not hold what it should; other errors are those of ReadFile, with the flag.

// A file with at least one certificate, all of which can be parsed.
absl::StatusOr<std::string> ReadCertificates(const std::string& flag, const std::string& file);

struct PemIdentity {
  std::string certificate_chain;
  std::string private_key;
};

// The files of --tls-cert and --tls-key. The key needs no passphrase and is that of the first
// certificate.
absl::StatusOr<PemIdentity> ReadPemIdentity(const std::string& cert_file,
                                            const std::string& key_file);

}  // namespace tessera
