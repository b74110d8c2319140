#pragma once

#include <list>
#include <mutex>
#include <thread>

#include "common/base/unique_fd.h"

namespace tessera::testing {

// Stands between a client and a server on loopback, and can cut what goes through it. Thread-safe.
class TcpProxy {
 public:
  explicit TcpProxy(int server_port);
  ~TcpProxy();

  int port() const { return port_; }

  // Closes every connection, on both sides. New ones are let through.
  void CutAll();

 private:
  struct Connection {
    UniqueFd client;
    UniqueFd server;
    std::jthread upstream;
    std::jthread downstream;
  };

  void Accept(int server_port);

  UniqueFd listener_;
  int port_ = 0;
  std::mutex mutex_;
  std::list<Connection> connections_;
  std::jthread acceptor_;
};

}  // namespace tessera::testing
