#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "common/job/job_size.h"
#include "server/loop/clock.h"
#include "tessera/internal/v1/worker_link.pb.h"

namespace tessera {

struct Prediction {
  double text_encode_s = 0;
  double step_s = 0;    // each
  double finish_s = 0;  // from the last step to the reports of all ranks: decode, transfer
  double total_s = 0;
  // No less was ever measured for this size; present only when it was measured twice, and not long
  // ago, so that a deadline may be refused on it. (A size whose deadlines are all refused is never
  // measured again.)
  std::optional<double> fastest_s;
};

// Predicts seconds from what finished jobs took. Used on the event loop's thread.
class CostModel {
 public:
  // A whole job that ended at `now`: rank 0's report, and the time from its dispatch to the last
  // rank's report.
  void Record(const JobSize& size, const internal::v1::JobReport& report, double run_s,
              TimePoint now);

  // Absent while nothing was measured.
  std::optional<Prediction> Predict(const JobSize& size, TimePoint now) const;

  // The group has changed in a way that changes its speed.
  void Forget();

 private:
  struct Stages {  // in seconds
    double text_encode = 0;
    double step = 0;
    double finish = 0;

    double Total(int64_t steps) const {
      return text_encode + static_cast<double>(steps) * step + finish;
    }
  };
  struct Measured {
    Stages mean;
    Stages fastest;
    int runs = 0;
    TimePoint latest;
  };

  std::map<JobSize, Measured> measured_;  // by the size of one step
  // The latest job's, for sizes that were never seen.
  std::optional<JobSize> latest_size_;
  Stages latest_;
};

}  // namespace tessera
