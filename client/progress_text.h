#pragma once

#include <string>

#include "absl/status/status.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// What a job's latest event says, in a line without its end, of at most `columns` (at least 40)
// characters.
std::string ProgressText(const v1::StreamGenerateImageResponse& event, int columns);

std::string RetryText(const absl::Status& why, double wait_s, int columns);

}  // namespace tessera
