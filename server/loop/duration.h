#pragma once

#include <cstdint>

#include "google/protobuf/util/time_util.h"

namespace tessera {

inline google::protobuf::Duration ToDuration(double seconds) {
  return google::protobuf::util::TimeUtil::NanosecondsToDuration(
      static_cast<int64_t>(seconds * 1e9));
}

}  // namespace tessera
