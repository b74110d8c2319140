#include "tests/unit/worker/comm/nccl/fake_nccl.h"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace tessera {
namespace {

using Trouble = FakeNccl::Trouble;

struct Memory {
  void* data;
  size_t size;
};

struct Comm {
  int rank = 0;
  int size = 0;
  std::string clique;  // the unique id
  bool aborted = false;
  // By peer; gathered in a group, and posted at its end.
  std::map<int, std::deque<Memory>> group_sends, group_receives, sends, receives;

  bool idle() const {
    for (const auto* posted : {&sends, &receives}) {
      for (const auto& [peer, queue] : *posted) {
        if (!queue.empty()) return false;
      }
    }
    return true;
  }
};

void Append(std::map<int, std::deque<Memory>>& from, std::map<int, std::deque<Memory>>& to) {
  for (auto& [peer, queue] : from) {
    to[peer].insert(to[peer].end(), queue.begin(), queue.end());
  }
  from.clear();
}

}  // namespace

struct FakeNccl::State {
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::vector<std::unique_ptr<Comm>> comms;
  std::map<int, Trouble> troubles;
  std::map<int, bool> in_group;  // by rank
  std::map<int, int> exchanges;
  int ids = 0;
  int misuses = 0;
  std::map<int, int> aborts;

  Trouble trouble(int rank) { return troubles[rank]; }

  Comm* Member(const std::string& clique, int rank) {
    for (const auto& each : comms) {
      if (each->clique == clique && each->rank == rank && !each->aborted) return each.get();
    }
    return nullptr;
  }

  bool Ready(const Comm& comm) {
    for (int rank = 0; rank < comm.size; ++rank) {
      if (Member(comm.clique, rank) == nullptr || trouble(rank) == Trouble::kNeverReady) {
        return false;
      }
    }
    return true;
  }

  bool IsStuck(int rank) {
    return trouble(rank) == Trouble::kNeverMoves || trouble(rank) == Trouble::kSystemError ||
           trouble(rank) == Trouble::kRemoteError;
  }

  // Carries over what `from` has sent and `to` awaits; false for unequal sizes.
  bool Move(Comm& from, Comm& to) {
    if (IsStuck(from.rank) || IsStuck(to.rank)) return true;
    std::deque<Memory>& sent = from.sends[to.rank];
    std::deque<Memory>& awaited = to.receives[from.rank];
    while (!sent.empty() && !awaited.empty()) {
      if (sent.front().size != awaited.front().size) return false;
      std::memcpy(awaited.front().data, sent.front().data, sent.front().size);
      sent.pop_front();
      awaited.pop_front();
    }
    return true;
  }

  NcclResult Advance(Comm& comm) {
    const bool busy = !comm.idle();
    if (busy && trouble(comm.rank) == Trouble::kSystemError) return NcclResult::kSystemError;
    if (busy && trouble(comm.rank) == Trouble::kRemoteError) return NcclResult::kRemoteError;
    for (int rank = 0; rank < comm.size; ++rank) {
      Comm* const peer = Member(comm.clique, rank);
      if (rank == comm.rank || peer == nullptr) continue;
      if (!Move(comm, *peer) || !Move(*peer, comm)) return NcclResult::kInvalidUsage;
    }
    const bool reports = trouble(comm.rank) != Trouble::kNeverReports;
    return comm.idle() && reports ? NcclResult::kSuccess : NcclResult::kInProgress;
  }

  NcclResult Post(int rank, int peer, Comm& comm, std::map<int, std::deque<Memory>>& list,
                  const Memory& memory) {
    if (!in_group[rank] || comm.aborted || memory.size == 0) {
      ++misuses;
      return NcclResult::kInvalidUsage;
    }
    list[peer].push_back(memory);
    return NcclResult::kSuccess;
  }

  NcclResult EndGroup(int rank) {
    in_group[rank] = false;
    for (const auto& comm : comms) {
      if (comm->rank != rank) continue;
      if (trouble(rank) == Trouble::kSendFails) {
        comm->group_sends.clear();
        comm->group_receives.clear();
        return NcclResult::kInvalidArgument;
      }
      Append(comm->group_sends, comm->sends);
      Append(comm->group_receives, comm->receives);
    }
    ++exchanges[rank];
    changed.notify_all();
    return NcclResult::kInProgress;
  }

  NcclResult Abort(Comm& comm) {
    if (comm.aborted) ++misuses;
    comm.aborted = true;
    comm.sends.clear();
    comm.receives.clear();
    ++aborts[comm.rank];
    return NcclResult::kSuccess;
  }
};

FakeNccl::FakeNccl() : state_(std::make_shared<State>()) {}

NcclLibrary FakeNccl::Library(int rank) const {
  const auto comm_of = [](NcclHandle handle) -> Comm& { return *static_cast<Comm*>(handle); };
  NcclLibrary nccl;
  nccl.get_unique_id = [state = state_, rank](NcclUniqueId* id) {
    const std::lock_guard lock(state->mutex);
    if (state->trouble(rank) == Trouble::kNoUniqueId) return NcclResult::kSystemError;
    *id = {};
    std::string("clique " + std::to_string(state->ids++)).copy(id->bytes, sizeof(id->bytes));
    return NcclResult::kSuccess;
  };
  nccl.comm_init_rank_config = [state = state_](NcclHandle* comm, int size, NcclUniqueId id,
                                                int own_rank, NcclConfig* config) {
    const std::lock_guard lock(state->mutex);
    if (config->blocking != 0) ++state->misuses;
    state->comms.push_back(std::make_unique<Comm>());
    Comm& made = *state->comms.back();
    made.rank = own_rank;
    made.size = size;
    made.clique = std::string(id.bytes, sizeof(id.bytes));
    *comm = &made;
    return NcclResult::kInProgress;
  };
  nccl.comm_get_async_error = [state = state_, comm_of](NcclHandle handle, NcclResult* error) {
    const std::lock_guard lock(state->mutex);
    Comm& comm = comm_of(handle);
    if (comm.aborted) ++state->misuses;
    *error = state->Ready(comm) || !comm.idle() ? state->Advance(comm) : NcclResult::kInProgress;
    return NcclResult::kSuccess;
  };
  nccl.comm_abort = [state = state_, comm_of](NcclHandle handle) {
    std::unique_lock lock(state->mutex);
    Comm& comm = comm_of(handle);
    state->changed.wait(lock, [&] { return state->trouble(comm.rank) != Trouble::kAbortHangs; });
    return state->Abort(comm);
  };
  nccl.group_start = [state = state_, rank] {
    const std::lock_guard lock(state->mutex);
    state->in_group[rank] = true;
    return NcclResult::kSuccess;
  };
  nccl.group_end = [state = state_, rank] {
    const std::lock_guard lock(state->mutex);
    return state->EndGroup(rank);
  };
  nccl.send = [state = state_, rank, comm_of](const void* from, size_t count, int, int peer,
                                              NcclHandle handle, void*) {
    const std::lock_guard lock(state->mutex);
    if (state->trouble(rank) == Trouble::kSendFails) return NcclResult::kInvalidArgument;
    return state->Post(rank, peer, comm_of(handle), comm_of(handle).group_sends,
                       {const_cast<void*>(from), count});
  };
  nccl.recv = [state = state_, rank, comm_of](void* to, size_t count, int, int peer,
                                              NcclHandle handle, void*) {
    const std::lock_guard lock(state->mutex);
    return state->Post(rank, peer, comm_of(handle), comm_of(handle).group_receives, {to, count});
  };
  nccl.get_error_string = [](NcclResult result) {
    return result == NcclResult::kSystemError ? "unhandled system error" : "some other error";
  };
  nccl.get_last_error = [](NcclHandle) { return "made to fail"; };
  return nccl;
}

void FakeNccl::Give(int rank, Trouble trouble) {
  const std::lock_guard lock(state_->mutex);
  state_->troubles[rank] = trouble;
  state_->changed.notify_all();
}

int FakeNccl::communicators(int rank) const {
  const std::lock_guard lock(state_->mutex);
  int count = 0;
  for (const auto& comm : state_->comms) count += comm->rank == rank ? 1 : 0;
  return count;
}

int FakeNccl::aborts(int rank) const {
  const std::lock_guard lock(state_->mutex);
  return state_->aborts[rank];
}

int FakeNccl::misuses() const {
  const std::lock_guard lock(state_->mutex);
  return state_->misuses;
}

void FakeNccl::AwaitExchange(int rank) const {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->exchanges[rank] > 0; });
}

}  // namespace tessera
