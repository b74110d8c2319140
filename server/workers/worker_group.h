#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/job/job_stage.h"
#include "server/loop/clock.h"
#include "server/workers/job_run.h"
#include "server/workers/worker_pool.h"
#include "tessera/internal/v1/worker_link.pb.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

struct WorkerGroupOptions {
  int size = 1;                   // ranks wanted
  int min_ranks = 0;              // with fewer, no epoch begins; 0: as many as are wanted
  double regroup_wait_s = 15;     // for missing ranks, until a smaller group is formed
  double join_timeout_s = 30;     // each worker's limit for joining an epoch
  double forming_slack_s = 10;    // on top of it, until forming has failed
  double end_grace_s = 6;         // for leaving an epoch; a rank that needs longer hangs
  double first_backoff_s = 0.25;  // after forming has failed; doubles with each time that follows
  double max_backoff_s = 10;
  int give_up_after = 6;  // failures in a row, of forming or of starting a worker
};

// How long a job may go without a sign of progress before its epoch is ended.
struct ProgressLimits {
  double first_step_s = 0;  // from the start to the first step's end
  double step_s = 0;        // from step to step
  double finish_s = 0;      // from the last step to the last rank's report
};

// A job for a group. `message.key.epoch` is filled in by the group.
struct RunRequest {
  internal::v1::RunJob message;
  ProgressLimits limits;
};

// N equal workers that make one image together. Forms epochs out of the pool's workers, broadcasts
// one job at a time to all ranks, and forms again when a rank is lost, fails or hangs; survivors
// keep their weights. After a lasting loss it forms with fewer ranks, and grows again between jobs
// when workers come. Messages of an earlier epoch, attempt or job are dropped. Used on the event
// loop's thread.
class WorkerGroup final : public WorkerPool::Listener {
 public:
  // The group calls its listener last in each of its own functions. A listener may therefore call
  // the group back.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnModelKnown(const ModelInfo& model) = 0;
    // It became ready, or gave up.
    virtual void OnGroupChanged() = 0;
    // Rank 0 began a stage.
    virtual void OnStageBegun(const internal::v1::JobKey& key, JobStage stage) = 0;
    // Rank 0 finished a step, 1-based.
    virtual void OnStepDone(const internal::v1::JobKey& key, int step) = 0;
    // Exactly once per Run.
    virtual void OnRunFinished(RunResult result) = 0;
  };

  // All references outlive the group.
  WorkerGroup(const WorkerGroupOptions& options, const Clock& clock, WorkerPool& pool);

  void SetListener(Listener& listener) { listener_ = &listener; }

  v1::GroupState state() const { return state_; }
  int size() const { return options_.size; }
  // Of the current epoch; 0 without one.
  int ranks() const { return static_cast<int>(members_.size()); }
  bool ready() const { return state_ == v1::GROUP_STATE_READY; }
  // Every rank has joined and answers heartbeats.
  bool healthy() const { return ready() || state_ == v1::GROUP_STATE_BUSY; }
  // It has failed to form so often that nobody should wait for it. It keeps trying.
  bool gave_up() const { return failures_ >= options_.give_up_after; }
  const std::string& reason() const { return reason_; }
  // What all members have in common; requires healthy().
  const internal::v1::Register& member_info() const { return members_[0].worker->info; }
  // Of the member that has least; requires healthy().
  const internal::v1::JobMemory& job_memory() const;
  v1::GroupDescription Describe() const;

  // Requires ready().
  void Run(RunRequest request);

  // Tells all ranks to leave the job in their next vote. Nothing when no job runs.
  void Cancel(internal::v1::StopReason why);

  // Ends epochs that take too long and forms again when it is time.
  void OnTime(TimePoint now);
  TimePoint NextDue() const { return due_; }

  void OnModelKnown(const ModelInfo& model) override { listener_->OnModelKnown(model); }
  void OnWorkerArrived() override;
  void OnWorkerLost(Worker& worker, const absl::Status& why) override;
  void OnStartFailure(const std::string& why, int in_a_row) override;
  void OnWorkerMessage(Worker& worker, const internal::v1::ConnectRequest& message) override;

 private:
  struct Member {
    Worker* worker = nullptr;  // null once it is lost
    bool joined = false;
    bool left = false;
  };

  void MoveTo(v1::GroupState next, std::string reason);
  void Broadcast(const internal::v1::ConnectResponse& message);
  std::optional<int> RankOf(const Worker& worker) const;
  bool IsCurrent(const internal::v1::JobKey& key) const;

  int MinRanks() const { return options_.min_ranks > 0 ? options_.min_ranks : options_.size; }
  void TryForm();
  void Form(const std::vector<Worker*>& workers);
  // Whether another epoch would have more ranks than the current one.
  bool CanGrow() const;
  // "2 of 3 workers", when some are missing.
  std::string Shortfall() const;
  // BUSY -> READY, and on to a larger epoch where that is possible.
  void BecomeIdle();
  void OnStoreReady(int rank, const internal::v1::StoreReady& message);
  void OnGroupJoined(int rank, const internal::v1::GroupJoined& message);
  void OnStage(int rank, const internal::v1::StageBegun& message);
  void OnStep(int rank, const internal::v1::StepDone& message);
  void OnChunk(int rank, const internal::v1::PixelChunk& message);
  void OnJobDone(int rank, const internal::v1::JobDone& message);
  void OnEpochEnded(int rank, const internal::v1::EpochEnded& message);

  // Leaves the epoch on all ranks; the reports of a running job are still waited for.
  void EndEpoch(const std::string& why);
  void DropHungRanks();
  // In ENDING: moves on once every rank has left or is lost.
  void FinishEnding();
  void FinishRunIfComplete();

  const WorkerGroupOptions options_;
  const Clock& clock_;
  WorkerPool& pool_;
  Listener* listener_ = nullptr;

  v1::GroupState state_ = v1::GROUP_STATE_WAITING;
  std::string reason_;
  int64_t epoch_ = 0;
  std::vector<Member> members_;     // by rank; empty in WAITING and BROKEN
  bool was_ready_ = false;          // this epoch
  TimePoint short_since_ = kNever;  // in WAITING: since when some workers, but not all, are here
  int failures_ = 0;                // in a row
  TimePoint due_ = kNever;          // when the current state has lasted too long
  std::optional<JobRun> run_;
  ProgressLimits limits_;
  int steps_ = 0;  // of the running job
};

}  // namespace tessera
