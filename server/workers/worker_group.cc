#include "server/workers/worker_group.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/wire/link_conversion.h"
#include "common/wire/link_responses.h"
#include "server/workers/group_state.h"
#include "spdlog/spdlog.h"

namespace tessera {
namespace {

bool IsOk(const internal::v1::Outcome& outcome) { return outcome.code() == 0; }

std::string RankFailed(int rank, const std::string& what, const std::string& why) {
  return absl::StrCat("rank ", rank, " ", what, ": ", why);
}

}  // namespace

WorkerGroup::WorkerGroup(const WorkerGroupOptions& options, const Clock& clock, WorkerPool& pool)
    : options_(options), clock_(clock), pool_(pool) {
  reason_ = absl::StrCat("0 of ", options_.size, " workers");
}

void WorkerGroup::MoveTo(v1::GroupState next, std::string reason) {
  Check(IsLegalTransition(state_, next), "a group takes a legal transition");
  state_ = next;
  reason_ = std::move(reason);
  due_ = kNever;
  spdlog::info("event=group_state state={} epoch={} why=\"{}\"", GroupStateName(state_), epoch_,
               reason_);
}

void WorkerGroup::Broadcast(const internal::v1::ConnectResponse& message) {
  for (const Member& member : members_) {
    if (member.worker != nullptr) member.worker->channel->Send(message);
  }
}

std::optional<int> WorkerGroup::RankOf(const Worker& worker) const {
  for (size_t rank = 0; rank < members_.size(); ++rank) {
    if (members_[rank].worker == &worker) return static_cast<int>(rank);
  }
  return std::nullopt;
}

bool WorkerGroup::IsCurrent(const internal::v1::JobKey& key) const {
  return run_.has_value() && key.job_id() == run_->key().job_id() &&
         key.attempt() == run_->key().attempt() && key.epoch() == epoch_;
}

const internal::v1::JobMemory& WorkerGroup::job_memory() const {
  const auto poorest =
      std::min_element(members_.begin(), members_.end(), [](const Member& a, const Member& b) {
        return a.worker->info.job_memory().available() < b.worker->info.job_memory().available();
      });
  return poorest->worker->info.job_memory();
}

// Forming.

void WorkerGroup::OnWorkerArrived() {
  if (state_ == v1::GROUP_STATE_BROKEN) MoveTo(v1::GROUP_STATE_WAITING, "a worker arrived");
  if (ready() && CanGrow()) return EndEpoch("a worker arrived");
  TryForm();
}

void WorkerGroup::TryForm() {
  if (state_ != v1::GROUP_STATE_WAITING) return;
  const std::vector<Worker*> workers = pool_.PickEqual(options_.size);
  const int count = static_cast<int>(workers.size());
  if (count == options_.size) return Form(workers);
  reason_ = absl::StrCat(count, " of ", options_.size, " workers");
  if (count < MinRanks()) {
    short_since_ = kNever;
    due_ = kNever;
    return;
  }
  short_since_ = std::min(short_since_, clock_.Now());
  due_ = short_since_ + Seconds(options_.regroup_wait_s);
  if (clock_.Now() >= due_) Form(workers);
}

void WorkerGroup::Form(const std::vector<Worker*>& workers) {
  ++epoch_;
  was_ready_ = false;
  short_since_ = kNever;
  for (Worker* worker : workers) members_.push_back({.worker = worker});
  MoveTo(v1::GROUP_STATE_FORMING, Shortfall());
  due_ = clock_.Now() + Seconds(options_.join_timeout_s + options_.forming_slack_s);
  members_[0].worker->channel->Send(HostStore(epoch_));
}

bool WorkerGroup::CanGrow() const {
  return static_cast<int>(pool_.PickEqual(options_.size).size()) > ranks();
}

std::string WorkerGroup::Shortfall() const {
  if (ranks() == options_.size) return "";
  return absl::StrCat(ranks(), " of ", options_.size, " workers");
}

void WorkerGroup::OnStoreReady(int rank, const internal::v1::StoreReady& message) {
  if (state_ != v1::GROUP_STATE_FORMING || rank != 0 || message.epoch() != epoch_) return;
  if (!IsOk(message.outcome())) {
    EndEpoch(RankFailed(0, "hosts no store", message.outcome().message()));
    return;
  }
  for (size_t r = 0; r < members_.size(); ++r) {
    members_[r].worker->channel->Send(JoinGroup(epoch_, static_cast<int>(r), ranks(),
                                                members_[0].worker->info.advertised_address(),
                                                message.port(), options_.join_timeout_s));
  }
}

void WorkerGroup::OnGroupJoined(int rank, const internal::v1::GroupJoined& message) {
  if (state_ != v1::GROUP_STATE_FORMING || message.epoch() != epoch_) return;
  if (!IsOk(message.outcome())) {
    EndEpoch(RankFailed(rank, "could not join", message.outcome().message()));
    return;
  }
  members_[rank].joined = true;
  const bool all_joined = std::all_of(members_.begin(), members_.end(),
                                      [](const Member& member) { return member.joined; });
  if (!all_joined) return;
  was_ready_ = true;
  failures_ = 0;
  MoveTo(v1::GROUP_STATE_READY, Shortfall());
  listener_->OnGroupChanged();
}

void WorkerGroup::OnStartFailure(const std::string& why, int in_a_row) {
  if (state_ != v1::GROUP_STATE_WAITING) return;
  const size_t here = pool_.PickEqual(options_.size).size();
  reason_ = absl::StrCat(here, " of ", options_.size, " workers; ", why);
  if (static_cast<int>(here) >= MinRanks()) return;  // a smaller group will do
  failures_ = std::max(failures_, in_a_row);
  if (gave_up()) listener_->OnGroupChanged();
}

// Running.

void WorkerGroup::Run(RunRequest request) {
  Check(ready(), "a job runs on a ready group");
  internal::v1::RunJob& job = request.message;
  job.mutable_key()->set_epoch(epoch_);
  run_.emplace(ranks(), job);
  limits_ = request.limits;
  steps_ = job.request().num_inference_steps();
  MoveTo(v1::GROUP_STATE_BUSY, job.key().job_id());
  due_ = clock_.Now() + Seconds(limits_.first_step_s);
  Broadcast(RunJob(std::move(job)));
}

void WorkerGroup::Stop(internal::v1::StopReason why) {
  if (state_ != v1::GROUP_STATE_BUSY) return;
  Broadcast(CancelJob(run_->key(), why));
}

void WorkerGroup::OnStage(int rank, const internal::v1::StageBegun& message) {
  if (state_ != v1::GROUP_STATE_BUSY || rank != 0 || !IsCurrent(message.key())) return;
  const std::optional<JobStage> stage = FromProto(message.stage());
  if (stage.has_value()) listener_->OnStageBegun(message.key(), *stage);
}

void WorkerGroup::OnStep(int rank, const internal::v1::StepDone& message) {
  if (state_ != v1::GROUP_STATE_BUSY || rank != 0 || !IsCurrent(message.key())) return;
  const int step = std::clamp(message.step(), 0, steps_ - 1) + 1;
  due_ = clock_.Now() + Seconds(step == steps_ ? limits_.finish_s : limits_.step_s);
  listener_->OnStepDone(message.key(), step);
}

void WorkerGroup::OnChunk(int rank, const internal::v1::PixelChunk& message) {
  if (rank != 0 || !IsCurrent(message.key())) return;
  const bool busy = state_ == v1::GROUP_STATE_BUSY;
  if (busy) due_ = clock_.Now() + Seconds(limits_.finish_s);
  const absl::Status added = run_->AddChunk(message);
  if (added.ok()) return;
  internal::v1::JobDone failed;
  failed.mutable_outcome()->set_code(static_cast<int>(absl::StatusCode::kInternal));
  failed.mutable_outcome()->set_message(std::string(added.message()));
  run_->Report(rank, failed);
  if (busy) EndEpoch(RankFailed(rank, "broke the protocol", std::string(added.message())));
}

void WorkerGroup::OnJobDone(int rank, const internal::v1::JobDone& message) {
  if (!IsCurrent(message.key())) return;
  run_->Report(rank, message);
  if (state_ == v1::GROUP_STATE_BUSY && !message.group_whole()) {
    EndEpoch(RankFailed(rank, "failed", message.outcome().message()));
    return;
  }
  FinishRunIfComplete();
}

void WorkerGroup::FinishRunIfComplete() {
  if (!run_.has_value() || !run_->complete()) return;
  RunResult result = run_->TakeResult();
  run_.reset();
  if (state_ == v1::GROUP_STATE_BUSY) BecomeIdle();
  listener_->OnRunFinished(std::move(result));
}

void WorkerGroup::BecomeIdle() {
  MoveTo(v1::GROUP_STATE_READY, Shortfall());
  if (CanGrow()) EndEpoch("a worker arrived");
}

// Ending.

void WorkerGroup::OnWorkerLost(Worker& worker, const absl::Status& why) {
  const std::optional<int> rank = RankOf(worker);
  if (!rank.has_value()) {
    if (state_ == v1::GROUP_STATE_WAITING) TryForm();  // for its reason
    return;
  }
  members_[*rank].worker = nullptr;
  if (run_.has_value()) run_->Lose(*rank, why);
  if (state_ == v1::GROUP_STATE_ENDING) {
    FinishEnding();
  } else {
    EndEpoch(RankFailed(*rank, "was lost", std::string(why.message())));
  }
}

void WorkerGroup::EndEpoch(const std::string& why) {
  MoveTo(v1::GROUP_STATE_ENDING, why);
  due_ = clock_.Now() + Seconds(options_.end_grace_s);
  Broadcast(tessera::EndEpoch(epoch_, why));
  FinishEnding();
}

void WorkerGroup::OnEpochEnded(int rank, const internal::v1::EpochEnded& message) {
  if (message.epoch() != epoch_) return;
  members_[rank].left = true;
  const std::string why = RankFailed(rank, "left the epoch", "by itself");
  if (run_.has_value()) run_->Lose(rank, absl::AbortedError(why));
  if (state_ == v1::GROUP_STATE_ENDING) {
    FinishEnding();
  } else {
    EndEpoch(why);
  }
}

void WorkerGroup::FinishEnding() {
  const bool over = std::all_of(members_.begin(), members_.end(), [](const Member& member) {
    return member.left || member.worker == nullptr;
  });
  if (!over) {
    FinishRunIfComplete();
    return;
  }
  members_.clear();
  const std::string why = reason_;
  if (was_ready_) {
    MoveTo(v1::GROUP_STATE_WAITING, why);
  } else {
    const double backoff_s = options_.first_backoff_s * std::exp2(std::min(failures_, 30));
    ++failures_;
    MoveTo(v1::GROUP_STATE_BROKEN, why);
    due_ = clock_.Now() + Seconds(std::min(backoff_s, options_.max_backoff_s));
  }
  FinishRunIfComplete();
  if (gave_up()) listener_->OnGroupChanged();
  TryForm();
}

void WorkerGroup::OnTime(TimePoint now) {
  if (now < due_) return;
  switch (state_) {
    case v1::GROUP_STATE_WAITING:
      TryForm();
      break;
    case v1::GROUP_STATE_FORMING:
      EndEpoch("the ranks did not join in time");
      break;
    case v1::GROUP_STATE_BUSY:
      EndEpoch("no rank made progress");
      break;
    case v1::GROUP_STATE_ENDING:
      DropHungRanks();
      break;
    case v1::GROUP_STATE_BROKEN:
      MoveTo(v1::GROUP_STATE_WAITING, reason_);
      TryForm();
      break;
    default:
      due_ = kNever;
  }
}

void WorkerGroup::DropHungRanks() {
  std::vector<Worker*> hung;
  for (const Member& member : members_) {
    if (member.worker != nullptr && !member.left) hung.push_back(member.worker);
  }
  for (Worker* worker : hung) {
    pool_.Drop(*worker, absl::UnavailableError(
                            absl::StrCat("it did not leave the epoch in ", options_.end_grace_s,
                                         " s; its device thread was silent for ",
                                         worker->heartbeat.device_thread_silent_ms(), " ms")));
  }
}

void WorkerGroup::OnWorkerMessage(Worker& worker, const internal::v1::ConnectRequest& message) {
  const std::optional<int> rank = RankOf(worker);
  if (!rank.has_value()) return;
  switch (message.message_case()) {
    case internal::v1::ConnectRequest::kStoreReady:
      return OnStoreReady(*rank, message.store_ready());
    case internal::v1::ConnectRequest::kGroupJoined:
      return OnGroupJoined(*rank, message.group_joined());
    case internal::v1::ConnectRequest::kStageBegun:
      return OnStage(*rank, message.stage_begun());
    case internal::v1::ConnectRequest::kStepDone:
      return OnStep(*rank, message.step_done());
    case internal::v1::ConnectRequest::kPixelChunk:
      return OnChunk(*rank, message.pixel_chunk());
    case internal::v1::ConnectRequest::kJobDone:
      return OnJobDone(*rank, message.job_done());
    case internal::v1::ConnectRequest::kEpochEnded:
      return OnEpochEnded(*rank, message.epoch_ended());
    default:
      return;
  }
}

v1::GroupDescription WorkerGroup::Describe() const {
  v1::GroupDescription description;
  description.set_state(state_);
  description.set_reason(state_ == v1::GROUP_STATE_BUSY ? Shortfall() : reason_);
  description.set_epoch(epoch_);
  description.set_size(options_.size);
  description.set_ranks(ranks());
  description.set_min_ranks(MinRanks());
  for (const Worker* worker : pool_.workers()) {
    v1::WorkerDescription& entry = *description.add_workers();
    entry.set_name(worker->info.name());
    entry.set_rank(RankOf(*worker).value_or(-1));
    entry.set_device(worker->info.device());
    entry.set_dtype(worker->info.dtype());
    entry.set_threads(worker->info.threads());
    entry.set_pid(worker->info.pid());
    entry.set_host(worker->info.host());
    entry.mutable_attempts()->set_succeeded(worker->heartbeat.attempts_succeeded());
    entry.mutable_attempts()->set_stopped(worker->heartbeat.attempts_stopped());
    entry.mutable_attempts()->set_failed(worker->heartbeat.attempts_failed());
  }
  return description;
}

}  // namespace tessera
