#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/parallel/connection_cutter.h"
#include "worker/parallel/deadline.h"

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

  // A client of another process's store, fit for use until the deadline; what waits for the store
  // then, fails. UNAVAILABLE names rank 0, the host.
  static absl::StatusOr<std::unique_ptr<GroupStore>> Connect(const std::string& host, int port,
                                                             Deadline deadline);
  ~GroupStore();

  int port() const { return port_; }

  // Leaves `text` for this rank under `round` and waits for those of all ranks; returns them by
  // rank. UNAVAILABLE names the ranks that are missing at the deadline.
  absl::StatusOr<std::vector<std::string>> Gather(const std::string& round, int rank, int size,
                                                  const std::string& text, Deadline deadline);

  // For c10d's process groups, which share its ownership.
  c10d::Store& store() const;

 private:
  struct Handle;
  GroupStore(std::unique_ptr<Handle> handle, int port);

  std::unique_ptr<ConnectionCutter> cutter_;  // clients only
  std::unique_ptr<Handle> handle_;
  int port_;
};

}  // namespace tessera
