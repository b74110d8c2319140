#include "tests/fault/service/tcp_proxy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace tessera::testing {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int NewSocket() { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }

void SendAtOnce(int descriptor) {
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Copies until either side ends, and then ends both.
void Copy(int from, int to) {
  std::array<char, 65536> buffer;
  bool going = true;
  while (going) {
    const ssize_t count = read(from, buffer.data(), buffer.size());
    going = count > 0;
    for (ssize_t sent = 0; going && sent < count;) {
      const ssize_t more = send(to, buffer.data() + sent, count - sent, MSG_NOSIGNAL);
      going = more > 0;
      sent += more;
    }
  }
  shutdown(from, SHUT_RDWR);
  shutdown(to, SHUT_RDWR);
}

}  // namespace

TcpProxy::TcpProxy(int server_port) : listener_(NewSocket()) {
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool listening = bind(listener_.get(), generic, length) == 0 &&
                         listen(listener_.get(), SOMAXCONN) == 0 &&
                         getsockname(listener_.get(), generic, &length) == 0;
  EXPECT_TRUE(listening) << "the proxy cannot listen";
  port_ = ntohs(address.sin_port);
  acceptor_ = std::jthread([this, server_port] { Accept(server_port); });
}

TcpProxy::~TcpProxy() {
  shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  CutAll();
}

void TcpProxy::Accept(int server_port) {
  for (;;) {
    UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client.get() < 0) return;
    UniqueFd server(NewSocket());
    const sockaddr_in address = Loopback(server_port);
    if (connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      continue;
    }
    SendAtOnce(client.get());
    SendAtOnce(server.get());
    const std::lock_guard lock(mutex_);
    Connection& connection = connections_.emplace_back();
    connection.client = std::move(client);
    connection.server = std::move(server);
    const int a = connection.client.get();
    const int b = connection.server.get();
    connection.upstream = std::jthread([a, b] { Copy(a, b); });
    connection.downstream = std::jthread([a, b] { Copy(b, a); });
  }
}

void TcpProxy::CutAll() {
  std::list<Connection> cut;
  {
    const std::lock_guard lock(mutex_);
    cut.swap(connections_);
  }
  for (const Connection& connection : cut) {
    shutdown(connection.client.get(), SHUT_RDWR);
    shutdown(connection.server.get(), SHUT_RDWR);
  }
}

}  // namespace tessera::testing
