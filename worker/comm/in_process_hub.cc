#include "worker/comm/in_process_hub.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "worker/comm/deadline.h"
#include "worker/comm/rank_error.h"

namespace tessera {

absl::Status InProcessHub::Exchange(int rank, const Offer& offer, double timeout_s,
                                    const Take& take) {
  std::unique_lock lock(mutex_);
  TESSERA_RETURN_IF_ERROR(status_);
  Member& self = members_[rank];
  self.offer = offer;
  const uint64_t turn = ++self.offered;
  changed_.notify_all();
  TESSERA_RETURN_IF_ERROR(AwaitOffers(lock, turn, timeout_s));

  std::vector<Offer> offers;
  for (const Member& member : members_) offers.push_back(member.offer);
  ++taking_;
  lock.unlock();
  const absl::Status taken = take(offers);
  lock.lock();
  --taking_;
  if (taken.ok()) {
    self.taken = turn;
  } else {
    EndLocked(RankFailedError(rank, taken));
  }
  changed_.notify_all();
  return AwaitTaken(lock, turn);
}

absl::Status InProcessHub::AwaitOffers(std::unique_lock<std::mutex>& lock, uint64_t turn,
                                       double timeout_s) {
  std::vector<int> missing;
  const auto left = [this](int rank) { return members_[rank].left; };
  changed_.wait_until(lock, DeadlineIn(timeout_s), [&] {
    missing = Missing(turn);
    return !status_.ok() || missing.empty() || std::ranges::any_of(missing, left);
  });
  if (!status_.ok() || missing.empty()) return status_;
  std::vector<int> gone;
  std::ranges::copy_if(missing, std::back_inserter(gone), left);
  EndLocked(gone.empty()
                ? RanksLostError(missing, absl::StrFormat("no answer within %g s", timeout_s))
                : RanksLostError(gone, "left the group"));
  return status_;
}

std::vector<int> InProcessHub::Missing(uint64_t turn) const {
  std::vector<int> missing;
  for (int rank = 0; rank < size(); ++rank) {
    if (members_[rank].offered < turn) missing.push_back(rank);
  }
  return missing;
}

absl::Status InProcessHub::AwaitTaken(std::unique_lock<std::mutex>& lock, uint64_t turn) {
  const auto all_taken = [&] {
    return std::ranges::all_of(members_, [turn](const Member& m) { return m.taken >= turn; });
  };
  // Nobody begins to take once the group has ended; those at it are waited for, as they may be
  // reading our offer.
  changed_.wait(lock, [&] { return all_taken() || (!status_.ok() && taking_ == 0); });
  return all_taken() ? absl::OkStatus() : status_;
}

void InProcessHub::Fail(const absl::Status& status) {
  const std::lock_guard lock(mutex_);
  EndLocked(status);
}

void InProcessHub::Leave(int rank) {
  const std::lock_guard lock(mutex_);
  members_[rank].left = true;
  changed_.notify_all();
}

void InProcessHub::EndLocked(const absl::Status& status) {
  if (status_.ok()) status_ = status;
  changed_.notify_all();
}

}  // namespace tessera
