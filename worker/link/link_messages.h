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

// The PNGs in order, cut into messages of at most 1 MiB of data; the last of each picture says so.
std::vector<internal::v1::ImageChunk> MakeImageChunks(const internal::v1::JobKey& key,
                                                      const std::vector<std::string>& pngs);

}  // namespace tessera
