#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "common/job/job_size.h"
#include "common/job/job_stage.h"
#include "server/jobs/job_listener.h"
#include "server/loop/clock.h"
#include "server/workers/job_run.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

enum class JobState {
  kQueued,      // waits for a group, or for the model to be known
  kRunning,     // a group works on it
  kCancelling,  // the group was told to leave it: the client left or the deadline passed
  kEncoding,    // the group has made its pictures and is done with it; PNGs are being written
  kSucceeded,   // terminal: the client gets the pictures
  kFailed,      // terminal: the client gets an error
  kCancelled,   // terminal: the client gave it up
  kExpired,     // terminal: the deadline passed
};

const char* JobStateName(JobState state);

bool IsTerminal(JobState state);

// Every transition a job may take:
//   kQueued   -> kRunning | kFailed | kCancelled | kExpired
//   kRunning  -> kCancelling | kEncoding | kFailed
//             -> kQueued, when it was interrupted and may run again
//   kCancelling -> kCancelled | kExpired
//   kEncoding -> kSucceeded | kFailed | kCancelled | kExpired
bool IsLegalTransition(JobState from, JobState to);

// What a client asked for.
struct JobSpec {
  std::string id;
  v1::GenerateImageRequest request;  // as it came
  // What the door that it came through can answer with.
  int64_t max_reply_bytes = std::numeric_limits<int64_t>::max();
  TimePoint submitted_at;
  TimePoint deadline = kNever;
};

// One admitted request, on its way to exactly one terminal state. Owned by the scheduler and used
// on the event loop's thread.
class Job {
 public:
  // One try on one epoch of a group.
  struct Attempt {
    int number = 0;  // 1-based; 0 before the first
    int ranks = 0;
    TimePoint started_at;
    JobStage stage = JobStage::kMemoryPlan;  // as rank 0 reported it
    int steps_done = 0;
  };
  // The attempts whose epoch ended under them.
  struct Interruptions {
    TimePoint first_at = kNever;
    std::string latest;  // in words
    // Every attempt so far broke the group that it ran on (RunOutcome::kBroken).
    bool always_broke = true;
  };

  Job(JobSpec spec, std::shared_ptr<JobListener> listener);

  const JobSpec& spec() const { return spec_; }
  const std::string& id() const { return spec_.id; }
  JobListener& listener() const { return *listener_; }
  JobState state() const { return state_; }

  // The request with every default filled in; absent until the model is known.
  const std::optional<v1::GenerateImageRequest>& effective() const { return effective_; }
  // Of the effective request, on a whole group.
  const JobSize& size() const { return size_; }
  void Resolve(v1::GenerateImageRequest effective, const JobSize& size) {
    effective_ = std::move(effective);
    size_ = size;
  }

  // Tells the listener its position, unless the position is the one told last.
  void TellPosition(int position, std::optional<double> predicted_wait_s);

  // A deadline only ever moves to a later time.
  TimePoint deadline() const { return deadline_; }
  void ExtendDeadline(TimePoint deadline) { deadline_ = std::max(deadline_, deadline); }

  const Attempt& attempt() const { return attempt_; }
  int first_attempt_ranks() const { return first_attempt_ranks_; }
  // Whether the next attempt may be made by so many ranks.
  bool MayRunOn(int ranks) const;
  // kQueued -> kRunning.
  void StartAttempt(TimePoint now, int ranks);
  void SetStage(JobStage stage) { attempt_.stage = stage; }
  void SetStepsDone(int steps_done) { attempt_.steps_done = steps_done; }

  JobStage stage() const;

  // kRunning -> kCancelling; it will end as `terminal`: kCancelled or kExpired.
  void Cancel(JobState terminal);
  JobState cancelled_as() const { return cancelled_as_; }

  const Interruptions& interruptions() const { return interruptions_; }
  // The epoch of its attempt has ended.
  void NoteInterruption(TimePoint now, const RunResult& result);
  // kRunning -> kQueued.
  void RunAgain() { MoveTo(JobState::kQueued); }

  // kRunning -> kEncoding.
  void StartEncoding() { MoveTo(JobState::kEncoding); }

  // Moves to a terminal state and tells the listener.
  void Finish(JobState terminal, JobResult result);

 private:
  void MoveTo(JobState next);

  const JobSpec spec_;
  const std::shared_ptr<JobListener> listener_;
  JobState state_ = JobState::kQueued;
  JobState cancelled_as_ = JobState::kCancelled;
  std::optional<v1::GenerateImageRequest> effective_;
  JobSize size_;
  TimePoint deadline_;
  Attempt attempt_;
  int first_attempt_ranks_ = 0;
  Interruptions interruptions_;
  int told_position_ = -1;
};

}  // namespace tessera
