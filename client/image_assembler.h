#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// Puts the chunks of a stream together. The server is not trusted to send them in order.
class ImageAssembler {
 public:
  // INTERNAL when the chunk does not continue what came before, or the pictures outgrow 4 GiB.
  absl::Status Add(const v1::ImageChunk& chunk);

  // The pictures, in order. INTERNAL when the last one is not whole.
  absl::StatusOr<std::vector<std::string>> Finish() &&;

 private:
  std::vector<std::string> pngs_;
  bool last_is_whole_ = true;
  size_t total_bytes_ = 0;
};

}  // namespace tessera
