#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/comm/gloo/gloo_mesh.h"

namespace tessera {

// What a rank tells the others before it closes its connections.
struct AbortNotice {
  enum class Kind : int32_t {
    kFailed,  // this rank has an error of its own; `text` says which
    kLost,    // this rank gave up on rank `about`; `text` says how that one was missed
  };
  Kind kind = Kind::kFailed;
  int32_t about = 0;
  std::string text;
};

// The notices of a group. A rank that leaves sends one to every peer first, so that connections
// closed without one mean a dead process. The receives are posted from the start: a notice needs
// no help of its reader to arrive.
class AbortNotices {
 public:
  // `mesh` carries nothing else: a collective that runs out of time closes the connections of its
  // mesh.
  AbortNotices(std::unique_ptr<GlooMesh> mesh, int rank, int size);

  // Best effort, within the deadline: peers that are gone are passed over.
  void Send(const AbortNotice& notice, Deadline deadline);

  // The peer's notice, or nothing if it closed its connections, or kept silent until the
  // deadline. Once per peer; no more Send after it.
  std::optional<AbortNotice> Receive(int peer, Deadline deadline);

 private:
  std::unique_ptr<GlooMesh> mesh_;
  const int rank_;
  std::vector<at::Tensor> received_;     // by rank
  std::vector<GlooTransfer> receiving_;  // by rank; this rank's own is void
};

}  // namespace tessera
