#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/comm/gloo/gloo_communicator.h"
#include "worker/comm/gloo/group_store.h"

namespace tessera {

using Joined = absl::StatusOr<std::unique_ptr<Communicator>>;

// What join(options, hosted store or null) gives for each rank of a group over loopback whose ranks
// are threads of this process.
template <typename Join>
std::vector<Joined> JoinThreads(int size, double timeout_s, int64_t epoch, const Join& join) {
  auto store = GroupStore::Host("127.0.0.1");
  EXPECT_TRUE(store.ok()) << store.status();
  std::vector<Joined> group(size);
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
      group[rank] = join(options, rank == 0 ? store->get() : nullptr);
    });
  }
  threads.clear();  // before the store goes
  return group;
}

// The members; empty, with a failed test, if they could not join.
inline std::vector<std::unique_ptr<Communicator>> MembersOf(std::vector<Joined> joined) {
  std::vector<std::unique_ptr<Communicator>> group;
  for (Joined& each : joined) {
    EXPECT_TRUE(each.ok()) << each.status();
    if (!each.ok()) return {};
    group.push_back(*std::move(each));
  }
  return group;
}

inline std::vector<std::unique_ptr<Communicator>> JoinGlooThreads(int size, double timeout_s,
                                                                  int64_t epoch = 1) {
  return MembersOf(
      JoinThreads(size, timeout_s, epoch, [](const GlooOptions& options, GroupStore* hosted) {
        return Joined(GlooCommunicator::Join(options, hosted));
      }));
}

}  // namespace tessera
