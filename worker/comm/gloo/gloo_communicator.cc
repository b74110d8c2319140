#include "worker/comm/gloo/gloo_communicator.h"

#include <csignal>
#include <future>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "worker/comm/gloo/abort_notice.h"
#include "worker/comm/gloo/connection_timeout.h"
#include "worker/comm/gloo/group_store.h"
#include "worker/comm/pieces.h"
#include "worker/comm/rank_error.h"

namespace tessera {
namespace {

// Shares of the join timeout, from its start: all ranks have come; all have said how their
// connecting went; the store is given up. And what connecting one mesh, of two, may take.
constexpr double kRollCallBy = 0.5;
constexpr double kConfirmedBy = 0.9;
constexpr double kStoreBy = 0.95;
constexpr double kMeshShare = 0.15;

constexpr int kPieceTag = 1;
constexpr int kEndTag = 2;
constexpr int kReceiptTag = 3;

void IgnoreSigpipe() {
  struct sigaction current = {};
  sigaction(SIGPIPE, nullptr, &current);
  if (current.sa_handler == SIG_DFL) std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

absl::StatusOr<std::unique_ptr<GlooCommunicator>> GlooCommunicator::Join(const GlooOptions& options,
                                                                         GroupStore* hosted) {
  if (options.rank < 0 || options.rank >= options.size) {
    return absl::InvalidArgumentError(
        absl::StrFormat("rank %d in a group of %d", options.rank, options.size));
  }
  IgnoreSigpipe();
  const double limit_s = options.join_timeout_s;
  const Deadline roll_call = DeadlineIn(kRollCallBy * limit_s);
  const Deadline confirmed = DeadlineIn(kConfirmedBy * limit_s);
  const Deadline store_by = DeadlineIn(kStoreBy * limit_s);
  std::unique_ptr<GroupStore> client;
  std::optional<ConnectionTimeout> connection_timeout;  // of the host's own connection
  if (hosted == nullptr) {
    TESSERA_ASSIGN_OR_RETURN(client, GroupStore::Connect(options.store_host, options.store_port,
                                                         store_by, options.cancel));
  } else {
    connection_timeout.emplace(options.store_host, options.store_port, store_by, options.cancel);
  }
  GroupStore& store = hosted != nullptr ? *hosted : *client;
  const auto gather = [&](const std::string& round, const std::string& text, Deadline deadline) {
    return store.Gather(absl::StrCat(round, " of epoch ", options.epoch), options.rank,
                        options.size, text, deadline);
  };
  TESSERA_RETURN_IF_ERROR(gather("roll call", "", roll_call).status());

  std::unique_ptr<GlooCommunicator> communicator(new GlooCommunicator(options));
  const absl::Status mine = communicator->Connect(store, options);
  const GroupStore::Round round = gather("connecting", std::string(mine.message()), confirmed);
  client.reset();  // before its time is over, which cuts this process's connections to the store
  connection_timeout.reset();
  if (!round.missing.empty()) {
    // Others may have joined, and will miss this rank.
    communicator->SendLostNotice(round.missing.front(), round.how);
    return round.status();
  }
  std::vector<RankFailure> failures;
  for (int rank = 0; rank < options.size; ++rank) {
    if (!round.texts[rank].empty()) failures.push_back({rank, round.texts[rank]});
  }
  if (!failures.empty()) return RanksFailedError(failures);
  return communicator;
}

GlooCommunicator::GlooCommunicator(const GlooOptions& options)
    : rank_(options.rank),
      size_(options.size),
      notice_timeout_s_(options.notice_timeout_s),
      timeout_s_(options.collective_timeout_s) {}

GlooCommunicator::~GlooCommunicator() = default;

absl::Status GlooCommunicator::Connect(const GroupStore& store, const GlooOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(const auto device, MakeGlooDevice(options.interface_address));
  const auto connect = [&](const std::string& purpose) {
    return GlooMesh::Connect(store, absl::StrCat(purpose, " of epoch ", options.epoch), device,
                             rank_, size_, kMeshShare * options.join_timeout_s);
  };
  TESSERA_ASSIGN_OR_RETURN(collectives_, connect("collectives"));
  TESSERA_ASSIGN_OR_RETURN(auto notices, connect("abort notices"));
  notices_ = std::make_unique<AbortNotices>(std::move(notices), rank_, size_);
  return absl::OkStatus();
}

absl::Status GlooCommunicator::AllGather(std::span<const std::vector<at::Tensor>> pieces) {
  const absl::Status valid = CheckPieces(pieces, size_);
  if (!valid.ok()) {
    Abort(valid);
    return Finish();
  }
  const bool staged = !pieces[rank_].empty() && !pieces[rank_].front().is_cpu();
  if (staged) {
    TESSERA_RETURN_IF_ERROR(Exchange(staging_.CopyToHost(pieces, rank_)));
    staging_.CopyToDevice(pieces, rank_);
  } else {
    TESSERA_RETURN_IF_ERROR(Exchange(pieces));
  }
  for (int peer = 0; peer < size_; ++peer) {
    if (peer != rank_) bytes_received_ += PieceBytes(pieces[peer]);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int64_t>> GlooCommunicator::Vote(int64_t mine) {
  std::vector<int64_t> votes(size_);
  votes[rank_] = mine;
  std::vector<std::vector<at::Tensor>> pieces;
  pieces.reserve(votes.size());
  for (int64_t& vote : votes) pieces.push_back({at::from_blob(&vote, {1}, at::kLong)});
  TESSERA_RETURN_IF_ERROR(Exchange(pieces));
  return votes;
}

absl::Status GlooCommunicator::RunWatched(const Work& work) {
  const Deadline deadline = DeadlineIn(timeout_s_);
  const std::vector<at::Tensor> ignored = {at::zeros({1}, at::kByte)};
  const std::vector<int> peers = PeersInTurn();
  for (const int peer : peers) {
    TESSERA_RETURN_IF_ERROR(Post(Direction::kReceive, peer, kEndTag, ignored));
  }
  std::stop_source stop;
  {
    const std::lock_guard lock(mutex_);
    if (over_) stop.request_stop();
    work_ = stop;
  }
  const std::future<void> mine = std::async(std::launch::async, [&] {
    const absl::Status status = work(stop.get_token());
    status.ok() ? SendWorkDone(deadline) : Abort(status);
  });
  absl::Status status;
  for (size_t i = 0; i < peers.size() && status.ok(); ++i) status = Await(i, deadline);
  if (status.ok() && mine.wait_until(deadline) == std::future_status::timeout) {
    Abort(absl::DeadlineExceededError(
        absl::StrFormat("the others were done, this rank not within %g s", timeout_s_)));
  }
  stop.request_stop();
  mine.wait();
  return Finish();
}

void GlooCommunicator::SendWorkDone(Deadline deadline) {
  const at::Tensor signal = at::zeros({1}, at::kByte);
  std::vector<GlooTransfer> sending;
  {
    const std::lock_guard lock(mutex_);
    if (over_) return;
    for (const int peer : PeersInTurn()) {
      sending.push_back(collectives_->Send(signal, peer, kEndTag));
    }
  }
  // Who cannot be told is missed by the owner, now or in the next collective.
  for (GlooTransfer& each : sending) each.Wait(deadline);
}

// Each rank begins with another peer, so that a lost one is waited for, and noticed, at once.
std::vector<int> GlooCommunicator::PeersInTurn() const {
  std::vector<int> peers;
  for (int step = 1; step < size_; ++step) peers.push_back((rank_ + step) % size_);
  return peers;
}

absl::Status GlooCommunicator::Exchange(std::span<const std::vector<at::Tensor>> pieces) {
  const Deadline deadline = DeadlineIn(timeout_s_);
  const std::vector<at::Tensor> signal = {at::zeros({1}, at::kByte)};
  const std::vector<at::Tensor> ignored = {at::zeros({1}, at::kByte)};
  const std::vector<int> peers = PeersInTurn();
  // Between two ranks, what is posted first on both sides arrives first: the end follows the
  // pieces.
  std::vector<size_t> ends;  // in in_flight_, by place in `peers`
  std::vector<size_t> receipts;
  for (const int peer : peers) {
    TESSERA_RETURN_IF_ERROR(Post(Direction::kReceive, peer, kPieceTag, pieces[peer]));
    ends.push_back(in_flight_.size());
    TESSERA_RETURN_IF_ERROR(Post(Direction::kReceive, peer, kEndTag, ignored));
    receipts.push_back(in_flight_.size());
    TESSERA_RETURN_IF_ERROR(Post(Direction::kReceive, peer, kReceiptTag, ignored));
    TESSERA_RETURN_IF_ERROR(Post(Direction::kSend, peer, kPieceTag, pieces[rank_]));
    TESSERA_RETURN_IF_ERROR(Post(Direction::kSend, peer, kEndTag, signal));
  }
  for (size_t i = 0; i < peers.size(); ++i) {
    TESSERA_RETURN_IF_ERROR(Await(ends[i], deadline));
    TESSERA_RETURN_IF_ERROR(Post(Direction::kSend, peers[i], kReceiptTag, signal));
  }
  for (const size_t receipt : receipts) TESSERA_RETURN_IF_ERROR(Await(receipt, deadline));
  // The peers have it all, and so has this rank: what remains is to take note.
  for (size_t i = 0; i < in_flight_.size(); ++i) TESSERA_RETURN_IF_ERROR(Await(i, deadline));
  return Finish();
}

absl::Status GlooCommunicator::Post(Direction direction, int peer, int tag,
                                    std::span<const at::Tensor> tensors) {
  {
    const std::lock_guard lock(mutex_);
    if (!over_) {
      for (const at::Tensor& tensor : tensors) {
        if (tensor.numel() == 0) continue;
        in_flight_.push_back(direction == Direction::kSend
                                 ? collectives_->Send(tensor, peer, tag)
                                 : collectives_->Receive(tensor, peer, tag));
      }
      return absl::OkStatus();
    }
  }
  return Finish();
}

absl::Status GlooCommunicator::Await(size_t index, Deadline deadline) {
  const int peer = in_flight_[index].peer();
  switch (in_flight_[index].Wait(deadline)) {
    case GlooTransfer::Outcome::kDone:
      return absl::OkStatus();
    case GlooTransfer::Outcome::kClosed:
      return Fail(peer, "its connections closed");
    case GlooTransfer::Outcome::kLate:
      return Fail(peer, absl::StrFormat("no answer within %g s", timeout_s_));
    case GlooTransfer::Outcome::kAborted:
      break;
  }
  return Finish();
}

absl::Status GlooCommunicator::Finish() {
  const std::lock_guard lock(mutex_);
  in_flight_.clear();
  return status_;
}

absl::Status GlooCommunicator::Fail(int suspect, const std::string& how) {
  {
    const std::lock_guard lock(mutex_);
    in_flight_.clear();
    if (over_) return status_;
    over_ = true;
    SendLostNotice(suspect, how);
    collectives_.reset();
  }
  const absl::Status found = FindFailedRank(suspect, how);
  const std::lock_guard lock(mutex_);
  CloseLocked();
  return status_ = found;
}

void GlooCommunicator::SendLostNotice(int suspect, const std::string& how) {
  if (notices_ == nullptr) return;
  notices_->Send({AbortNotice::Kind::kLost, suspect, how}, DeadlineIn(notice_timeout_s_));
}

absl::Status GlooCommunicator::FindFailedRank(int suspect, std::string how) {
  const Deadline deadline = DeadlineIn(notice_timeout_s_);
  std::set<int> suspected = {rank_};
  while (suspected.insert(suspect).second) {
    const std::optional<AbortNotice> notice = notices_->Receive(suspect, deadline);
    if (!notice.has_value()) break;
    if (notice->kind == AbortNotice::Kind::kFailed) {
      return RanksFailedError(std::vector<RankFailure>{{suspect, notice->text}});
    }
    suspect = notice->about;
    how = notice->text;
  }
  return RanksLostError({&suspect, 1}, how);
}

void GlooCommunicator::Abort(const absl::Status& reason) {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  over_ = true;
  work_.request_stop();
  status_ = RankFailedError(rank_, reason);
  notices_->Send({AbortNotice::Kind::kFailed, rank_, reason.ToString()},
                 DeadlineIn(notice_timeout_s_));
  for (GlooTransfer& transfer : in_flight_) transfer.Abort();
  CloseLocked();
}

void GlooCommunicator::CloseLocked() {
  notices_.reset();
  collectives_.reset();
}

}  // namespace tessera
