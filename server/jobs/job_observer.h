#pragma once

#include <vector>

#include "server/jobs/job.h"

namespace tessera {

enum class JobEvent {
  kRefused,         // never a job; `error` says why
  kJoined,          // a call waits for a job that another call began
  kAnsweredAgain,   // a call got the answer of a job that had ended
  kAdmitted,        // waits
  kAttemptStarted,  // runs
  kCancelling,      // its group was told to leave it
  kInterrupted,     // the epoch of its attempt has ended
  kRequeued,        // waits again, after an interruption
  kEncoding,        // its pictures are there
  kEnded,           // `ends_as` is where; its listener hears next
};

// One thing that happened to a call or its job.
struct JobTransition {
  JobEvent event;
  const JobSpec& call;  // the one that was refused, joined or answered again, else the job's own
  std::string job_id;   // of the job that the call got; empty if it was refused
  TimePoint now;
  const Job* job = nullptr;              // from kAdmitted on
  const JobError* error = nullptr;       // with kRefused; with kEnded unless the job succeeded
  JobState ends_as = JobState::kFailed;  // with kEnded
  int in_front = 0;                      // jobs that wait before it, with kAdmitted
};

// Hears every transition of every job. Called on the event loop's thread; never blocks, and calls
// nothing back.
class JobObserver {
 public:
  virtual ~JobObserver() = default;
  virtual void OnTransition(const JobTransition& transition) = 0;
};

// Tells several observers, in order. The observers outlive it.
class JobObservers final : public JobObserver {
 public:
  explicit JobObservers(std::vector<JobObserver*> observers) : observers_(std::move(observers)) {}
  void OnTransition(const JobTransition& transition) override {
    for (JobObserver* observer : observers_) observer->OnTransition(transition);
  }

 private:
  std::vector<JobObserver*> observers_;
};

}  // namespace tessera
