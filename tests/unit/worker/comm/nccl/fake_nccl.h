#pragma once

#include <memory>

#include "worker/comm/nccl/nccl_library.h"

namespace tessera {

// NCCL for ranks that are threads of one process: moves CPU memory, tells nothing but "in progress"
// until it has, and fails on demand. A lost peer is never noticed, as between GPUs of one host.
// Thread-safe.
class FakeNccl {
 public:
  FakeNccl();

  // For the communicators of one rank, in any number of epochs; may outlive this object.
  NcclLibrary Library(int rank) const;

  enum class Trouble {
    kNone,
    kNoUniqueId,
    kNeverReady,    // its communicators are in progress for ever, and so are its peers'
    kNeverMoves,    // what it posts, and what is meant for it, stays where it is
    kNeverReports,  // moves everything, but is in progress for ever
    kSendFails,     // at once
    kSystemError,   // told of an exchange that never moves
    kRemoteError,   // the same, as of another rank
    kAbortHangs,
  };
  void Give(int rank, Trouble trouble);

  // Of this rank so far, in all epochs.
  int communicators(int rank) const;
  int aborts(int rank) const;  // of which there are no more than communicators
  int misuses() const;         // of all ranks: calls outside a group, or after the abort
  // Blocks until the rank has posted its first exchange.
  void AwaitExchange(int rank) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tessera
