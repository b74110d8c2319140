#pragma once

#include "server/jobs/job_observer.h"

namespace tessera {

// A log line for each transition.
class JobLog final : public JobObserver {
 public:
  void OnTransition(const JobTransition& transition) override;
};

}  // namespace tessera
