#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "worker/parallel/gloo_communicator.h"
#include "worker/parallel/group_store.h"

namespace tessera {

// A Gloo group over loopback whose ranks are threads of this process; empty, with a failed test, if
// they cannot join.
inline std::vector<std::unique_ptr<Communicator>> JoinGlooThreads(int size, double timeout_s,
                                                                  int64_t epoch = 1) {
  auto store = GroupStore::Host("127.0.0.1");
  EXPECT_TRUE(store.ok()) << store.status();
  std::vector<std::unique_ptr<Communicator>> group(size);
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&, rank] {
        GlooOptions options;
        options.epoch = epoch;
        options.rank = rank;
        options.size = size;
        options.store_host = "127.0.0.1";
        options.store_port = (*store)->port();
        options.join_timeout_s = timeout_s;
        options.collective_timeout_s = timeout_s;
        auto joined = GlooCommunicator::Join(options, rank == 0 ? store->get() : nullptr);
        EXPECT_TRUE(joined.ok()) << joined.status();
        if (joined.ok()) group[rank] = *std::move(joined);
      });
    }
  }
  for (const auto& member : group) {
    if (member == nullptr) return {};
  }
  return group;
}

}  // namespace tessera
