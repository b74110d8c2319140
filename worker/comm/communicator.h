#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tessera {

// One rank's membership in one epoch of a group: the data plane that moves tensors and the control
// plane that carries the vote. Every rank calls the same collectives in the same order.
//
// Every collective ends on every rank, within the time limit given at construction: with OK, or
// with a Status whose message names the rank that failed and what it reported (ABORTED when a rank
// reported an error of its own, UNAVAILABLE when it died, hung or lost its connections). After the
// first error the membership is over: every later call returns that same Status at once, and a new
// epoch needs new communicators.
//
// Owned by one thread; only Abort may be called from any thread.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Bounds each later collective.
  virtual void SetTimeout(double seconds) = 0;

  // pieces[r] are the places, in this rank's memory, of what rank r contributes: contiguous tensors
  // of equal number, shapes and dtype on all ranks. pieces[rank()] is filled; on success all of
  // them are. Lengths may differ between ranks and may be zero.
  virtual absl::Status AllGather(std::span<const std::vector<at::Tensor>> pieces) = 0;

  // Control plane: gathers one number from each rank, in rank order. Host only; a few bytes.
  virtual absl::StatusOr<std::vector<int64_t>> Vote(int64_t mine) = 0;

  // Ends the membership with an error of this rank (or of whoever watches it); the other ranks'
  // pending and later collectives fail naming this rank and the reason.
  virtual void Abort(const absl::Status& reason) = 0;

  // What AllGather has received from other ranks so far.
  virtual int64_t bytes_received() const = 0;
};

}  // namespace tessera
