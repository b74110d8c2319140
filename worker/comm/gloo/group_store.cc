#include "worker/comm/gloo/group_store.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "worker/base/exception_status.h"
#include "worker/comm/gloo/scoped_no_dns.h"
#include "worker/comm/rank_error.h"

namespace tessera {

struct GroupStore::Handle {
  c10::intrusive_ptr<c10d::TCPStore> store;
};

namespace {

// TCPStore begins anew when its connection fails within its time limit, and takes as long again.
constexpr int kConnectTries = 4;

constexpr int kHost = 0;  // the rank
constexpr std::chrono::milliseconds kPollInterval(5);

// While an exception of the store is being handled.
std::string StoreLost() {
  return absl::StrCat("the group's store: ", MessageFromCurrentException());
}

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

absl::StatusOr<Addresses> Resolve(const std::string& host) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), "0", &hints, &found);
  if (error == 0) return Addresses(found, &freeaddrinfo);
  return absl::UnavailableError(absl::StrCat("address '", host, "': ", gai_strerror(error)));
}

// Resolved here, since c10d has to do without a name server.
absl::StatusOr<std::string> NumericAddress(const std::string& host) {
  TESSERA_ASSIGN_OR_RETURN(const Addresses found, Resolve(host));
  char numeric[NI_MAXHOST];
  const int error = getnameinfo(found->ai_addr, found->ai_addrlen, numeric, sizeof(numeric),
                                nullptr, 0, NI_NUMERICHOST);
  if (error == 0) return std::string(numeric);
  return absl::UnavailableError(absl::StrCat("address '", host, "': ", gai_strerror(error)));
}

// A listening socket on an ephemeral port of the address.
absl::StatusOr<int> Listen(const std::string& address) {
  TESSERA_ASSIGN_OR_RETURN(const Addresses found, Resolve(address));
  const int descriptor = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
  if (descriptor < 0 || bind(descriptor, found->ai_addr, found->ai_addrlen) != 0 ||
      listen(descriptor, SOMAXCONN) != 0) {
    const std::string reason = std::strerror(errno);
    if (descriptor >= 0) close(descriptor);
    return absl::UnavailableError(absl::StrCat("bind address '", address, "': ", reason));
  }
  return descriptor;
}

absl::StatusOr<uint16_t> PortOf(int descriptor) {
  sockaddr_storage bound = {};
  socklen_t length = sizeof(bound);
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    return absl::UnavailableError(absl::StrCat("getsockname: ", std::strerror(errno)));
  }
  // The port lies at the same place in both families.
  return ntohs(reinterpret_cast<const sockaddr_in&>(bound).sin_port);
}

}  // namespace

GroupStore::GroupStore(std::unique_ptr<Handle> handle, int port)
    : handle_(std::move(handle)), port_(port) {}

GroupStore::~GroupStore() = default;

absl::StatusOr<std::unique_ptr<GroupStore>> GroupStore::Host(const std::string& bind_address) {
  TESSERA_ASSIGN_OR_RETURN(const std::string address, NumericAddress(bind_address));
  TESSERA_ASSIGN_OR_RETURN(const int listener, Listen(address));
  c10d::TCPStoreOptions options;
  TESSERA_ASSIGN_OR_RETURN(options.port, PortOf(listener));
  options.isServer = true;
  options.waitWorkers = false;
  options.masterListenFd = listener;  // the store closes it
  try {
    const ScopedNoDns no_dns;
    auto store = c10::make_intrusive<c10d::TCPStore>(address, options);
    auto handle = std::make_unique<Handle>(Handle{std::move(store)});
    return std::unique_ptr<GroupStore>(new GroupStore(std::move(handle), options.port));
  } catch (...) {
    return absl::UnavailableError(
        absl::StrCat("hosting the group's store: ", MessageFromCurrentException()));
  }
}

absl::StatusOr<std::unique_ptr<GroupStore>> GroupStore::Connect(const std::string& host, int port,
                                                                Deadline deadline,
                                                                std::stop_token cancel) {
  const absl::StatusOr<std::string> address = NumericAddress(host);
  if (!address.ok()) {
    return RanksLostError({&kHost, 1}, std::string(address.status().message()));
  }
  auto connection_timeout =
      std::make_unique<ConnectionTimeout>(*address, port, deadline, std::move(cancel));
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(port);
  options.waitWorkers = false;
  options.timeout = TimeLeft(deadline) / kConnectTries;
  try {
    const ScopedNoDns no_dns;
    auto store = c10::make_intrusive<c10d::TCPStore>(*address, options);
    auto handle = std::make_unique<Handle>(Handle{std::move(store)});
    std::unique_ptr<GroupStore> result(new GroupStore(std::move(handle), port));
    result->connection_timeout_ = std::move(connection_timeout);
    return result;
  } catch (...) {
    return RanksLostError({&kHost, 1}, StoreLost());
  }
}

c10d::Store& GroupStore::store() const { return *handle_->store; }

absl::Status GroupStore::Round::status() const {
  return missing.empty() ? absl::OkStatus() : RanksLostError(missing, how);
}

GroupStore::Round GroupStore::Gather(const std::string& name, int rank, int size,
                                     const std::string& text, Deadline deadline) try {
  std::vector<std::string> keys;
  keys.reserve(size);
  for (int each = 0; each < size; ++each) keys.push_back(absl::StrCat(name, "/", each));
  store().set(keys[rank], text);
  Round round;
  // Asked again and again: c10d's own wait ends in an exception, which has been seen to take so
  // long (unwinding through libtorch, presumably from a cold disk) that the store was cut
  // meanwhile.
  while (std::chrono::steady_clock::now() < deadline && !store().check(keys)) {
    std::this_thread::sleep_for(kPollInterval);
  }
  for (int each = 0; each < size; ++each) {
    if (!store().check({keys[each]})) round.missing.push_back(each);
  }
  if (!round.missing.empty()) {
    round.how = absl::StrCat("missing in the ", name);
    return round;
  }
  round.texts.reserve(size);
  for (const std::string& key : keys) round.texts.push_back(store().get_to_str(key));
  return round;
} catch (...) {
  return Round{.texts = {}, .missing = {kHost}, .how = StoreLost()};
}

}  // namespace tessera
