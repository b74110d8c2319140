#pragma once

#include "server/jobs/job.h"

namespace tessera {

struct RetryOptions {
  // An interrupted job runs again until it has had so many attempts, or until so long after its
  // first interruption.
  int max_attempts = 3;
  double retry_window_s = 300;
};

// Decides whether an interrupted job runs again. Immutable, so thread-safe.
class RetryPolicy {
 public:
  explicit RetryPolicy(const RetryOptions& options) : options_(options) {}

  bool RunsAgain(const Job& job, TimePoint now) const;

  // Until when an interrupted job may begin another attempt; kNever for a job that was never
  // interrupted.
  TimePoint Until(const Job& job) const;

  // Whether a job that may not run again is itself to blame: each of its attempts broke the group
  // that it ran on, and it had as many as jobs get, which is more than one.
  bool BreaksGroups(const Job& job) const;

 private:
  const RetryOptions options_;
};

}  // namespace tessera
