#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/Work.hpp>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/comm/deadline.h"

namespace tessera {

class GroupStore;

// Where a process's Gloo sockets live: one I/O thread, bound to the local address. Shared by
// meshes.
class GlooDevice;
absl::StatusOr<std::shared_ptr<GlooDevice>> MakeGlooDevice(const std::string& interface_address);

// A tensor on its way to or from a peer. The tensor is neither read nor written once this is
// destroyed.
class GlooTransfer {
 public:
  enum class Outcome {
    kDone,
    kClosed,  // the peer's connection is gone
    kLate,    // the deadline has passed
    kAborted,
  };

  GlooTransfer(int peer, c10::intrusive_ptr<c10d::Work> work);
  int peer() const { return peer_; }
  // kLate closes every connection of the mesh, on which other transfers then end with
  // kClosed.
  Outcome Wait(Deadline deadline);
  // From any thread: the wait, now or later, ends with kAborted unless the transfer is done.
  void Abort();

 private:
  int peer_;
  c10::intrusive_ptr<c10d::Work> work_;  // null: the connection was closed before
  bool done_ = false;
};

// Connections from each rank to each other, by c10d's Gloo process group, of which only send and
// receive are used: they take unequal sizes, say which peer failed, and leave nothing behind when
// they are dropped. Destruction closes the connections (those of transfers still held, with the
// last of these). Not thread-safe.
class GlooMesh {
 public:
  // All ranks call it with the same name within the timeout. UNAVAILABLE when some peer cannot be
  // reached.
  static absl::StatusOr<std::unique_ptr<GlooMesh>> Connect(
      const GroupStore& store, const std::string& name, const std::shared_ptr<GlooDevice>& device,
      int rank, int size, double timeout_s);
  ~GlooMesh();

  // Transfers between two ranks match in the order in which each has posted those of the same tag.
  // The tensor is contiguous, on the CPU, not empty, and of the same size on both ranks.
  GlooTransfer Send(const at::Tensor& tensor, int peer, int tag);
  GlooTransfer Receive(const at::Tensor& tensor, int peer, int tag);

 private:
  struct Group;
  explicit GlooMesh(std::unique_ptr<Group> group);

  std::unique_ptr<Group> group_;
};

}  // namespace tessera
