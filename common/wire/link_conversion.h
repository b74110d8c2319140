#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/job/image_request.h"
#include "common/job/job_memory.h"
#include "common/job/job_stage.h"
#include "common/model/model_info.h"
#include "tessera/internal/v1/worker_link.pb.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// The messages of the link between server and workers, to and from the structs that both sides use:
// each message's two directions beside each other. Thread-safe.

internal::v1::Outcome ToProto(const absl::Status& status);

internal::v1::ModelInfo ToProto(const ModelInfo& model);
// INVALID_ARGUMENT names the field that a worker left out or that makes no sense.
absl::StatusOr<ModelInfo> FromLinkModel(const internal::v1::ModelInfo& model);

internal::v1::JobMemory ToProto(const JobMemory& memory);
JobMemory FromLinkMemory(const internal::v1::JobMemory& memory);

// UNSPECIFIED for the stages that workers know nothing of; absent for UNSPECIFIED and for values
// that this build does not know.
internal::v1::JobStage ToProto(JobStage stage);
std::optional<JobStage> FromProto(internal::v1::JobStage stage);

internal::v1::JobReport MakeJobReport(const ImageResult& result);

// A request with every default filled in, as the engine takes it.
ImageRequest FromProto(const v1::GenerateImageRequest& request);

// The most data of one message with pixels, in bytes.
inline constexpr size_t kPixelChunkBytes = size_t{1} << 20;

// The pictures in order, cut into messages of at most kPixelChunkBytes.
std::vector<internal::v1::PixelChunk> MakePixelChunks(const internal::v1::JobKey& key,
                                                      const std::vector<std::string>& pictures);

}  // namespace tessera
