#pragma once

#include <string>
#include <thread>

#include "worker/comm/deadline.h"

namespace tessera {

// Cuts this process's TCP connections to host:port when the deadline passes or `cancel` is
// requested, and whatever is connected anew after it, until destroyed. c10d's TCPStore waits
// without limit for the answers of a host that hangs and keeps its socket to itself; once the
// connection is cut, its calls throw.
class ConnectionTimeout {
 public:
  ConnectionTimeout(std::string host, int port, Deadline deadline, std::stop_token cancel);

 private:
  std::jthread thread_;
};

}  // namespace tessera
