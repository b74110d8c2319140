#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <tuple>

#include "server/loop/clock.h"
#include "tessera/internal/v1/worker_link.pb.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// What decides how long a job takes on a given group.
struct JobShape {
  int width = 0;   // pixels
  int height = 0;  // pixels
  int num_images = 1;
  int passes = 1;  // 2 with true classifier-free guidance
  int max_sequence_length = 0;
  bool replicated_text = false;
  int sync_steps = 1;
  int refresh_every = 0;
  int steps = 1;

  static JobShape Of(const v1::GenerateImageRequest& effective);

  // Of one step, in units that scale as the transformer's time does: rows, and rows squared.
  double WorkPerStep() const;
  double Pixels() const { return static_cast<double>(width) * height * num_images; }
};

struct Prediction {
  double text_encode_s = 0;
  double step_s = 0;    // each
  double finish_s = 0;  // from the last step to the reports of all ranks: decode, transfer
  double total_s = 0;
  // No less was ever measured for this shape; present only when it was measured twice, and not long
  // ago, so that a deadline may be refused on it. (A shape whose deadlines are all refused is never
  // measured again.)
  std::optional<double> fastest_s;
};

// Predicts seconds from what finished jobs took. Used on the event loop's thread.
class CostModel {
 public:
  // A whole job that ended at `now`: rank 0's report, and the time from its dispatch to the last
  // rank's report.
  void Record(const JobShape& shape, const internal::v1::JobReport& report, double run_s,
              TimePoint now);

  // Absent while nothing was measured.
  std::optional<Prediction> Predict(const JobShape& shape, TimePoint now) const;

  // The group has changed in a way that changes its speed.
  void Forget();

 private:
  // All of a shape but its number of steps.
  using Key = std::tuple<int, int, int, int, int, bool, int, int>;
  struct Stages {  // in seconds
    double text_encode = 0;
    double step = 0;
    double finish = 0;

    double Total(int steps) const { return text_encode + steps * step + finish; }
  };
  struct Measured {
    Stages mean;
    Stages fastest;
    int runs = 0;
    TimePoint latest;
  };

  static Key KeyOf(const JobShape& shape);

  std::map<Key, Measured> measured_;
  // The latest job's, for shapes that were never seen.
  std::optional<JobShape> latest_shape_;
  Stages latest_;
};

}  // namespace tessera
