#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "absl/status/status.h"

namespace tessera {

// Where the threads of an in-process group meet. Thread-safe.
class InProcessHub {
 public:
  // What a rank lays out for the others during one exchange.
  struct Offer {
    std::span<const at::Tensor> piece;
    int64_t vote = 0;
    std::shared_ptr<c10::Event> written;  // on a device: follows what wrote the piece
    std::shared_ptr<c10::Event>
        read;  // on a device: follows this rank's copies of the peers' pieces
  };
  // Takes what it wants from all the offers, by rank; runs beside the other ranks'.
  using Take = std::function<absl::Status(std::span<const Offer>)>;

  explicit InProcessHub(int size) : members_(size) {}
  int size() const { return static_cast<int>(members_.size()); }

  // Waits for the offers of all ranks, takes, and waits until all have taken: no offer is read
  // after its owner's call has returned. The first error ends the group for all ranks: ranks
  // missing after timeout_s, an error of `take`, or what Fail was given.
  absl::Status Exchange(int rank, const Offer& offer, double timeout_s, const Take& take);

  // Ends the group, unless it has ended already.
  void Fail(const absl::Status& status);
  // The rank takes part in nothing further.
  void Leave(int rank);

 private:
  struct Member {
    Offer offer;
    uint64_t offered = 0;  // exchanges begun
    uint64_t taken = 0;    // exchanges finished
    bool left = false;
  };

  // Each takes mutex_ as held.
  absl::Status AwaitOffers(std::unique_lock<std::mutex>& lock, uint64_t turn, double timeout_s);
  absl::Status AwaitTaken(std::unique_lock<std::mutex>& lock, uint64_t turn);
  std::vector<int> Missing(uint64_t turn) const;  // ranks that have not begun exchange `turn`
  void EndLocked(const absl::Status& status);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Member> members_;  // guarded by mutex_
  int taking_ = 0;               // guarded by mutex_: ranks inside `take`
  absl::Status status_;          // guarded by mutex_: the first error
};

}  // namespace tessera
