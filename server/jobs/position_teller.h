#pragma once

#include "server/jobs/job_predictor.h"
#include "server/jobs/job_table.h"
#include "server/loop/clock.h"

namespace tessera {

// Tells waiting jobs their places in the line, and how long they will wait. The first places hear
// of a change at once, the others within kRestS: with thousands in line each change moves them all.
// Used on the event loop's thread.
class PositionTeller {
 public:
  static constexpr int kAtOnce = JobPredictor::kExactPlaces;
  static constexpr double kRestS = 1;

  PositionTeller(const JobPredictor& predictor, const Clock& clock)
      : predictor_(predictor), clock_(clock) {}

  // After the line has changed. `running` may be null. Waits are told if `predict`.
  void Tell(const JobTable::Line& line, const Job* running, bool predict);

  // The job that has just come to the end of the line, wherever that is.
  void TellLast(const JobTable::Line& line, const Job* running, bool predict);

  // Tells the rest when it is time.
  void OnTime(TimePoint now, const JobTable::Line& line, const Job* running, bool predict);
  TimePoint NextDue() const { return rest_due_; }

 private:
  void TellFirst(size_t places, const JobTable::Line& line, const Job* running, bool predict);

  const JobPredictor& predictor_;
  const Clock& clock_;
  TimePoint rest_due_ = kNever;
};

}  // namespace tessera
