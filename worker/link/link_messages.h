#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tessera/internal/v1/worker_link.pb.h"
#include "worker/model/job_memory.h"
#include "worker/model/model_info.h"
#include "worker/pipeline/image_request.h"

namespace tessera {

// The link's messages to and from the engine's structs.

internal::v1::Outcome ToProto(const absl::Status& status);
internal::v1::ModelInfo ToProto(const ModelInfo& model);
internal::v1::JobMemory ToProto(const JobMemory& memory);
internal::v1::JobReport MakeJobReport(const ImageResult& result);
ImageRequest FromProto(const internal::v1::ImageRequest& request);

// The pictures in order, cut into messages of at most 1 MiB of data.
std::vector<internal::v1::PixelChunk> MakePixelChunks(const internal::v1::JobKey& key,
                                                      const std::vector<std::string>& pictures);

}  // namespace tessera
