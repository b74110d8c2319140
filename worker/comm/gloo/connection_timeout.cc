#include "worker/comm/gloo/connection_timeout.h"

#include <netdb.h>
#include <sys/socket.h>

#include <charconv>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/strip.h"
#include "common/base/sleep.h"

namespace tessera {
namespace {

// "127.0.0.1 29500"; an IPv4 address reads the same on an IPv6 socket.
std::string Name(const sockaddr* address, socklen_t length) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getnameinfo(address, length, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "";
  }
  return std::string(absl::StripPrefix(host, "::ffff:")) + " " + port;
}

std::set<std::string> Resolve(const std::string& host, int port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  std::set<std::string> names;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    names.insert(Name(each->ai_addr, each->ai_addrlen));
  }
  return names;
}

void Cut(const std::set<std::string>& peers) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const std::string text = entry.path().filename();
    int descriptor = -1;
    std::from_chars(text.data(), text.data() + text.size(), descriptor);
    sockaddr_storage peer = {};
    socklen_t length = sizeof(peer);
    auto* address = reinterpret_cast<sockaddr*>(&peer);
    if (getpeername(descriptor, address, &length) != 0) continue;
    if (peers.contains(Name(address, length))) shutdown(descriptor, SHUT_RDWR);
  }
}

}  // namespace

ConnectionTimeout::ConnectionTimeout(std::string host, int port, Deadline deadline,
                                     std::stop_token cancel)
    : thread_([host = std::move(host), port, deadline,
               cancel = std::move(cancel)](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any changed;
        const std::stop_callback wake(cancel, [&] {
          const std::lock_guard lock(mutex);
          changed.notify_all();
        });
        {
          std::unique_lock lock(mutex);
          changed.wait_until(lock, stop, deadline, [&] { return cancel.stop_requested(); });
        }
        while (!stop.stop_requested()) {
          Cut(Resolve(host, port));
          SleepFor(0.05, stop);
        }
      }) {}

}  // namespace tessera
