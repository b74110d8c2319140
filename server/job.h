#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "server/clock.h"
#include "server/job_listener.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

enum class JobState {
  kQueued,     // waits for a group, or for the model to be known
  kRunning,    // a group works on it
  kStopping,   // the group was told to stop: the client left or the deadline passed
  kSucceeded,  // terminal: the client gets the pictures
  kFailed,     // terminal: the client gets an error
  kCancelled,  // terminal: the client gave it up
  kExpired,    // terminal: the deadline passed
};

const char* JobStateName(JobState state);

bool IsTerminal(JobState state);

// Every transition a job may take:
//   kQueued   -> kRunning | kFailed | kCancelled | kExpired
//   kRunning  -> kStopping | kSucceeded | kFailed
//             -> kQueued, when its epoch ended without a fault of its own and it may run again
//   kStopping -> kCancelled | kExpired
bool IsLegalTransition(JobState from, JobState to);

// How the client wants its pictures.
enum class ReplyKind { kUnary, kStream };

// What a client asked for.
struct JobSpec {
  std::string id;
  v1::GenerateImageRequest request;  // as it came
  ReplyKind reply = ReplyKind::kStream;
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
    TimePoint started_at;
    int steps_done = 0;
  };

  Job(JobSpec spec, std::shared_ptr<JobListener> listener);

  const JobSpec& spec() const { return spec_; }
  const std::string& id() const { return spec_.id; }
  JobListener& listener() const { return *listener_; }
  JobState state() const { return state_; }

  // The request with every default filled in; absent until the model is known.
  const std::optional<v1::GenerateImageRequest>& effective() const { return effective_; }
  void Resolve(v1::GenerateImageRequest effective) { effective_ = std::move(effective); }

  // Tells the listener, unless it knows.
  void TellPosition(int position, std::optional<double> predicted_wait_s);

  const Attempt& attempt() const { return attempt_; }
  // kQueued -> kRunning.
  void StartAttempt(TimePoint now);
  void SetStepsDone(int steps_done) { attempt_.steps_done = steps_done; }

  // "queue", "text_encode", "denoise" or "vae_decode".
  std::string Stage() const;

  // kRunning -> kStopping; `terminal` (kCancelled or kExpired) is where it will end.
  void Stop(JobState terminal);
  JobState stopping_towards() const { return stopping_towards_; }

  // kRunning -> kQueued.
  void RunAgain() { MoveTo(JobState::kQueued); }

  // Moves to a terminal state and tells the listener.
  void Finish(JobState terminal, JobResult result);

 private:
  void MoveTo(JobState next);

  const JobSpec spec_;
  const std::shared_ptr<JobListener> listener_;
  JobState state_ = JobState::kQueued;
  JobState stopping_towards_ = JobState::kCancelled;
  std::optional<v1::GenerateImageRequest> effective_;
  Attempt attempt_;
  int told_position_ = -1;
};

}  // namespace tessera
