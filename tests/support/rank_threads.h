#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "worker/comm/communicator.h"

namespace tessera {

// Runs body(communicator) for each rank on a thread of its own; the results by rank. The
// communicators outlive the call.
template <typename Body>
auto RunRanks(const std::vector<std::unique_ptr<Communicator>>& group, const Body& body) {
  std::vector<decltype(body(*group.front()))> results(group.size());
  {
    std::vector<std::jthread> threads;
    for (size_t rank = 0; rank < group.size(); ++rank) {
      threads.emplace_back([&, rank] { results[rank] = body(*group[rank]); });
    }
  }
  return results;
}

}  // namespace tessera
