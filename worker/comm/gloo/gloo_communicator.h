#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "worker/comm/communicator.h"
#include "worker/comm/deadline.h"
#include "worker/comm/gloo/gloo_mesh.h"
#include "worker/comm/host_staging.h"

namespace tessera {

class GroupStore;
class AbortNotices;

struct GlooOptions {
  int64_t epoch = 0;
  int rank = 0;
  int size = 1;
  std::string store_host;  // where rank 0's store listens
  int store_port = 0;
  // This rank's own address, to which its sockets bind.
  std::string interface_address = "127.0.0.1";
  double join_timeout_s = 30;
  double collective_timeout_s = 30;
  double notice_timeout_s =
      0.5;                 // how long a failing rank waits to hear from the one that it misses
  std::stop_token cancel;  // ends a Join soon, with an error
};

// N ranks as N processes over c10d's Gloo, on one host or several. Tensors on a device go through
// pinned host memory.
//
// A piece goes straight from the sender's tensor to the receiver's. Gloo notices a dead peer for
// certain only while it waits for a message that has not begun to arrive; in the midst of a large
// one it may wait on. So a rank sends a last, small message behind its pieces, and confirms to
// every peer that it has theirs, and waits for these.
//
// Gloo has no abort. A rank that fails, or misses another, tells every peer over connections kept
// for that purpose, and closes all of its connections, so that its neighbours fail in their turn.
// Who is to blame follows from what the ranks say: one that reports an error of its own has failed;
// one that is missed and says nothing is lost; one that is missed but misses another is not. The
// store takes no part in it, so that rank 0 may die like any other.
//
// Joining makes this process ignore SIGPIPE, which writing to a closed Gloo connection raises,
// unless it handles that signal already.
class GlooCommunicator : public Communicator {
 public:
  // Ends on every rank within options.join_timeout_s, with OK on all or with a status that names
  // the ranks that did not come. INVALID_ARGUMENT for a rank outside the group. `hosted` is rank
  // 0's own store, null elsewhere; it is needed until all ranks have joined.
  static absl::StatusOr<std::unique_ptr<GlooCommunicator>> Join(const GlooOptions& options,
                                                                GroupStore* hosted);
  ~GlooCommunicator() override;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void SetTimeout(double seconds) override { timeout_s_ = seconds; }
  absl::Status AllGather(std::span<const std::vector<at::Tensor>> pieces) override;
  absl::StatusOr<std::vector<int64_t>> Vote(int64_t mine) override;
  void Abort(const absl::Status& reason) override;
  int64_t bytes_received() const override { return bytes_received_; }

  // A collective around what the ranks do together by other means, such as NCCL: OK when the work
  // of every rank has returned OK. It runs on a thread of its own while this one watches the peers;
  // its error is this rank's, as by Abort. When the group has ended it is asked to stop, and waited
  // for.
  using Work = std::function<absl::Status(const std::stop_token& stop)>;
  absl::Status RunWatched(const Work& work);

 private:
  explicit GlooCommunicator(const GlooOptions& options);

  absl::Status Connect(const GroupStore& store, const GlooOptions& options);

  std::vector<int> PeersInTurn() const;
  // Fills the peers' pieces, all on the host. Empty tensors are not sent.
  absl::Status Exchange(std::span<const std::vector<at::Tensor>> pieces);
  // Adds the transfers of `tensors` to in_flight_.
  enum class Direction { kReceive, kSend };
  absl::Status Post(Direction direction, int peer, int tag, std::span<const at::Tensor> tensors);
  // For RunWatched, from the work's thread.
  void SendWorkDone(Deadline deadline);
  // Waits for in_flight_[index].
  absl::Status Await(size_t index, Deadline deadline);
  absl::Status Finish();

  // The end of the membership, noticed by a collective that misses `suspect`.
  absl::Status Fail(int suspect, const std::string& how);
  void SendLostNotice(int suspect, const std::string& how);
  absl::Status FindFailedRank(int suspect, std::string how);
  void CloseLocked();

  const int rank_;
  const int size_;
  const double notice_timeout_s_;
  double timeout_s_;
  int64_t bytes_received_ = 0;
  HostStaging staging_;

  // Guards what follows against Abort. The owner posts transfers under it, and waits for them
  // without: it alone changes in_flight_.
  std::mutex mutex_;
  bool over_ = false;    // nothing is posted any more
  absl::Status status_;  // why; set by the time that Abort, or the owner's failing call, returns
  std::unique_ptr<GlooMesh> collectives_;
  std::unique_ptr<AbortNotices> notices_;
  std::vector<GlooTransfer> in_flight_;
  std::stop_source work_;  // of the latest RunWatched
};

}  // namespace tessera
