#include "worker/link/local_address.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/unique_fd.h"

namespace tessera {

absl::StatusOr<std::string> LocalAddressTowards(const std::string& server) {
  const size_t colon = server.rfind(':');
  if (colon == std::string::npos || colon + 1 == server.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("server: expected HOST:PORT, found \"", server, "\""));
  }
  std::string host = server.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);

  addrinfo hints = {};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int lookup = getaddrinfo(host.c_str(), server.c_str() + colon + 1, &hints, &found);
  if (lookup != 0) return absl::UnavailableError(absl::StrCat(server, ": ", gai_strerror(lookup)));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);

  // Connecting a datagram socket sends nothing: it only chooses the route.
  const UniqueFd socket_fd(socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage local = {};
  socklen_t length = sizeof local;
  auto* const address = reinterpret_cast<sockaddr*>(&local);
  if (connect(socket_fd.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      getsockname(socket_fd.get(), address, &length) != 0) {
    return absl::UnavailableError(absl::StrCat(server, ": ", strerror(errno)));
  }
  char numeric[NI_MAXHOST];
  if (getnameinfo(address, length, numeric, sizeof numeric, nullptr, 0, NI_NUMERICHOST) != 0) {
    return absl::UnavailableError(absl::StrCat(server, ": the route has no address"));
  }
  return std::string(numeric);
}

}  // namespace tessera
