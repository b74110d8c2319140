#pragma once

#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// Shows a job's progress: on a terminal as one line that changes, else as a line for each event.
// Nothing is left of the line on a terminal when this object goes.
class ProgressDisplay {
 public:
  // `stream` is not owned.
  explicit ProgressDisplay(FILE* stream);
  ~ProgressDisplay();

  void Show(const v1::StreamGenerateImageResponse& event);
  void ShowRetry(const absl::Status& why, double wait_s);

 private:
  int Columns() const;
  void Print(const std::string& line);

  FILE* const stream_;
  const bool on_terminal_;
};

}  // namespace tessera
