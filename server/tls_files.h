#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/tessera_server.h"

namespace tessera {

// The PEM files that --tls-cert, --tls-key and --tls-client-ca name; client_ca may be empty.
struct TlsFiles {
  std::string cert;
  std::string key;
  std::string client_ca;
};

// Reads the files. INVALID_ARGUMENT names the flag and the file when a certificate or the key is
// missing, cannot be parsed or needs a passphrase, or when the key is not that of the certificate;
// else as ReadFile.
absl::StatusOr<TlsOptions> ReadTlsFiles(const TlsFiles& files);

}  // namespace tessera
