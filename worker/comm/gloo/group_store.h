#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/comm/deadline.h"
#include "worker/comm/gloo/connection_timeout.h"

namespace c10d {
class Store;
}

namespace tessera {

// The key-value store in which the ranks of an epoch find each other: c10d's TCPStore, hosted by
// rank 0. Needed while ranks join; unauthenticated, so it listens on the given interface only. Not
// thread-safe.
class GroupStore {
 public:
  // Listens on an ephemeral port of the local address `bind_address`. UNAVAILABLE when that cannot
  // be bound.
  static absl::StatusOr<std::unique_ptr<GroupStore>> Host(const std::string& bind_address);

  // A client of another process's store, fit for use until the deadline or until `cancel` is
  // requested; what waits for the store then, fails. UNAVAILABLE names rank 0, the host.
  static absl::StatusOr<std::unique_ptr<GroupStore>> Connect(const std::string& host, int port,
                                                             Deadline deadline,
                                                             std::stop_token cancel = {});
  ~GroupStore();

  int port() const { return port_; }

  // What the ranks have left in a round.
  struct Round {
    std::vector<std::string> texts;  // by rank, if all came
    std::vector<int> missing;        // else who did not; rank 0, if the store is out of reach
    std::string how;                 // and how they were missed

    // UNAVAILABLE names the missing ranks.
    absl::Status status() const;
  };
  // Leaves `text` for this rank in the round of that name and waits until the deadline for those of
  // all ranks.
  Round Gather(const std::string& name, int rank, int size, const std::string& text,
               Deadline deadline);

  // For c10d's process groups, which share its ownership.
  c10d::Store& store() const;

 private:
  struct Handle;
  GroupStore(std::unique_ptr<Handle> handle, int port);

  std::unique_ptr<ConnectionTimeout> connection_timeout_;  // clients only
  std::unique_ptr<Handle> handle_;
  int port_;
};

}  // namespace tessera
