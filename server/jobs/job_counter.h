#pragma once

#include "server/jobs/job_observer.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// Counts what became of every request. Used on the event loop's thread.
class JobCounter final : public JobObserver {
 public:
  void OnTransition(const JobTransition& transition) override;
  const v1::JobTallies& tallies() const { return tallies_; }

 private:
  void CountEnd(JobState state);

  v1::JobTallies tallies_;
};

}  // namespace tessera
